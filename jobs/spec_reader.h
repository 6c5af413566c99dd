// TOML into the key table: types, ranges and unknown names are checked here, each against the table
// of jobs/spec_keys.h. Internal to jobs/.
#ifndef HALCYON_JOBS_SPEC_READER_H_
#define HALCYON_JOBS_SPEC_READER_H_

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/spec_errors.h"
#include "jobs/spec_keys.h"
#include "jobs/spec_overrides.h"

namespace halcyon::jobs {

// Lines of keys and tables in the file, by path: "train.steps", "data" (a table),
// "data.sources[1]".
class SpecLines {
 public:
  void Set(const std::string& path, int line) { lines_.emplace(path, line); }
  void Merge(const SpecLines& other) { lines_.insert(other.lines_.begin(), other.lines_.end()); }
  bool Has(const std::string& path) const { return lines_.contains(path); }
  // The line of the path, else of the table around it, else 1.
  int Of(const std::string& path) const;

  // A value that the command line gave: it has no line.
  void SetOverride(const std::string& path) {
    Set(path, 0);
    overrides_.insert(path);
  }
  // `path`, or the list that it is an element of ("data.sources" for "data.sources[1]").
  bool IsOverride(const std::string& path) const {
    return overrides_.contains(path.substr(0, path.find('[')));
  }

 private:
  std::map<std::string, int> lines_;
  std::set<std::string> overrides_;
};

// Used in place of a key where the text is not TOML. No key has this path: a space would be quoted.
inline constexpr char kSyntaxPath[] = "TOML syntax";

bool HoldsControlCharacter(std::string_view text);

// Sets the values of the keys that the text gives; the others keep theirs. Every mistake is added
// to `errors`, and its key keeps its value.
SpecLines ReadSpecToml(std::string_view toml, const std::vector<SpecKey>& keys, SpecErrors& errors);

// Sets the values that the command line gave, after those of the file, and notes them in `lines`.
void ReadOverrides(const std::vector<SpecOverride>& overrides, const std::vector<SpecKey>& keys,
                   SpecLines* lines, SpecErrors& errors);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_SPEC_READER_H_
