// The table of all keys of a job file: where each value lives in a JobSpec, and which values it may
// take. The reader, the writer and the fingerprints walk this one table, so a key that is in it is
// read, checked, written and accounted for. Internal to jobs/.
#ifndef HALCYON_JOBS_SPEC_KEYS_H_
#define HALCYON_JOBS_SPEC_KEYS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "jobs/job_spec.h"

namespace halcyon::jobs {

struct IntegerKey {
  int64_t* value;
  int64_t min;
  int64_t max;
};

// Bounds of a real number; an open end excludes the bound itself.
struct Interval {
  double min;
  double max;
  bool open_min = false;
  bool open_max = false;

  bool Contains(double value) const;
  // "from 0 to 0.5", "above 0 and below 2".
  std::string Text() const;
};

struct NumberKey {
  double* value;
  Interval interval;
};

struct BooleanKey {
  bool* value;
};

struct TextKey {
  std::string* value;
};

struct ListKey {  // of strings
  std::vector<std::string>* value;
};

struct TableKey {  // of strings by name
  std::map<std::string, std::string>* value;
};

struct SourcesKey {  // tables of their own keys (SourceKeysOf)
  std::vector<SourceSpec>* value;
};

struct ChoiceKey {
  std::vector<std::string_view> choices;
  std::function<size_t()> get;  // index into choices
  std::function<void(size_t)> set;
};

struct SpecKey {
  std::string section;  // "" (top level), "data", "autoencoder.train", ...
  std::string name;
  std::variant<IntegerKey, NumberKey, BooleanKey, TextKey, ListKey, TableKey, SourcesKey, ChoiceKey>
      value;
  std::string reason;        // of the range: "the energy score is proper only there"
  std::string example = "";  // TOML text of a required key's value; "": not required

  // "seed", "data.sources".
  std::string Path() const { return section.empty() ? name : section + "." + name; }
  bool required() const { return !example.empty(); }
};

// In the order of the structs, sections together. The pointers are into `spec`, which must outlive
// the result.
std::vector<SpecKey> KeysOf(JobSpec& spec);

// The keys of one [[data.source]]; `section` names it in messages: "data.source[0]".
std::vector<SpecKey> SourceKeysOf(const std::string& section, SourceSpec& source);

// The sections of KeysOf, in order, without the top level.
std::vector<std::string> SectionsOf(const std::vector<SpecKey>& keys);

// The value the key has now as TOML: 3, 0.5, "text", ["a", "b"], { "a" = "b" }. Numbers are the
// shortest text that reads back to the same value.
std::string TomlTextOf(const SpecKey& key);
// The same without quotes around a string: the text that enters a fingerprint.
std::string PlainTextOf(const SpecKey& key);

// The paths of those of a job's keys whose values are not those of `defaults`.
std::set<std::string> KeysThatDiffer(const std::vector<SpecKey>& keys, JobSpec defaults);

// A TOML basic string with its quotes; control characters are escaped, so it is always one line.
std::string Quoted(std::string_view text);
std::string NumberText(double value);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_SPEC_KEYS_H_
