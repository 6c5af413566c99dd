// What is wrong with a job file, collected so that one run reports everything, and the guesses at
// what a misspelt key was meant to be. Internal to jobs/.
#ifndef HALCYON_JOBS_SPEC_ERRORS_H_
#define HALCYON_JOBS_SPEC_ERRORS_H_

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "jobs/spec_keys.h"

namespace halcyon::jobs {

class SpecErrors {
 public:
  explicit SpecErrors(std::string file_name) : file_name_(std::move(file_name)) {}

  // `message` is "what is wrong; what to do", on one line.
  void Add(int line, const std::string& path, std::string_view message);
  // Until it is set to "" again, what is added is about this key as the command line gave it, and
  // reads "--set KEY: ..." in place of the file and the line.
  void SetOverride(std::string path) { override_ = std::move(path); }
  // Whether the key at `path` has an error: its value is then the default, not what was meant.
  bool Has(const std::string& path) const { return paths_.contains(path); }
  // OK, or kInvalidArgument with a line "FILE:LINE: PATH: MESSAGE" for each error, by line;
  // those about the command line come first.
  absl::Status ToStatus() const;

 private:
  std::string file_name_;
  std::string override_;
  std::vector<std::pair<int, std::string>> errors_;  // line, text
  std::set<std::string> paths_;
};

// What to do about a key `name` that `section` does not have, for example
// `did you mean "chunk_size"?` or `it belongs in [tokenizer]; move it there`.
std::string AdviceForKey(const std::vector<SpecKey>& keys, std::string_view section,
                         std::string_view name);
// The same for a table "modle" or "autoencoder.trian".
std::string AdviceForSection(const std::vector<SpecKey>& keys, std::string_view section);

// The least number of insertions, deletions, replacements and swaps of neighbours that turn `a`
// into `b`, with no character edited twice.
size_t EditDistance(std::string_view a, std::string_view b);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_SPEC_ERRORS_H_
