// How a table of keys (jobs/spec_keys.h) is put together. Internal to jobs/.
#ifndef HALCYON_JOBS_KEY_TABLE_H_
#define HALCYON_JOBS_KEY_TABLE_H_

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "jobs/spec_keys.h"

namespace halcyon::jobs {

class KeyTable {
 public:
  void Section(std::string section) { section_ = std::move(section); }

  void Integer(std::string name, int64_t* value, int64_t min, int64_t max, std::string reason) {
    Add(std::move(name), IntegerKey{value, min, max}, std::move(reason));
  }
  void Number(std::string name, double* value, Interval interval, std::string reason) {
    Add(std::move(name), NumberKey{value, interval}, std::move(reason));
  }
  void Boolean(std::string name, bool* value) { Add(std::move(name), BooleanKey{value}, ""); }
  void Text(std::string name, std::string* value) { Add(std::move(name), TextKey{value}, ""); }
  void List(std::string name, std::vector<std::string>* value) {
    Add(std::move(name), ListKey{value}, "");
  }
  void Table(std::string name, std::map<std::string, std::string>* value) {
    Add(std::move(name), TableKey{value}, "");
  }
  void Sources(std::string name, std::vector<SourceSpec>* value) {
    Add(std::move(name), SourcesKey{value}, "");
  }
  template <typename Enum>
  void Choice(std::string name, Enum* value, std::vector<std::string_view> choices) {
    Add(std::move(name),
        ChoiceKey{std::move(choices), [value] { return static_cast<size_t>(*value); },
                  [value](size_t index) { *value = static_cast<Enum>(index); }},
        "");
  }
  void TextChoice(std::string name, std::string* value, std::vector<std::string_view> choices) {
    auto get = [value, choices] {
      const auto found = std::find(choices.begin(), choices.end(), *value);
      HALCYON_CHECK(found != choices.end());
      return static_cast<size_t>(found - choices.begin());
    };
    auto set = [value, choices](size_t index) { *value = std::string(choices[index]); };
    Add(std::move(name), ChoiceKey{choices, get, set}, "");
  }
  // Makes the last key one that a job must give.
  void Required(std::string example) { keys_.back().example = std::move(example); }

  std::vector<SpecKey> Take() { return std::move(keys_); }

 private:
  template <typename Value>
  void Add(std::string name, Value value, std::string reason) {
    keys_.push_back({section_, std::move(name), std::move(value), std::move(reason)});
  }

  std::string section_;
  std::vector<SpecKey> keys_;
};

// What Slurm is asked for: [launch.slurm] of a job.
void AddSlurm(const std::string& section, SlurmSpec& slurm, KeyTable& keys);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_KEY_TABLE_H_
