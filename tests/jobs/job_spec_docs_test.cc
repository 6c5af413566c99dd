// docs/job_spec.md and examples/ against the code.
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

#include "base/env.h"
#include "jobs/job_spec.h"
#include "jobs/spec_keys.h"
#include "tests/jobs/documented_keys.h"

namespace halcyon::jobs {
namespace {

std::string TypeOf(const SpecKey& key) {
  if (std::holds_alternative<IntegerKey>(key.value)) return "integer";
  if (std::holds_alternative<NumberKey>(key.value)) return "number";
  if (std::holds_alternative<BooleanKey>(key.value)) return "boolean";
  if (std::holds_alternative<ListKey>(key.value)) return "array of strings";
  if (std::holds_alternative<TableKey>(key.value)) return "table of strings";
  if (std::holds_alternative<SourcesKey>(key.value)) return "array of tables";
  return "string";
}

TEST(JobSpecDocs, EveryKeyIsThereWithItsTypeAndDefaultAndNoOthers) {
  auto rows = DocumentedKeys();
  JobSpec spec;
  for (const SpecKey& key : KeysOf(spec)) {
    const auto row = rows.find(key.Path());
    ASSERT_NE(row, rows.end()) << key.Path() << " is not documented";
    EXPECT_EQ(row->second.type, TypeOf(key)) << key.Path();
    EXPECT_EQ(row->second.default_value, key.required() ? "required" : TomlTextOf(key))
        << key.Path();
    rows.erase(row);
  }
  for (const auto& [path, row] : rows) ADD_FAILURE() << path << " is documented but no key";
}

// The numbers of a text in their order; 1,048,576 is one.
std::vector<double> NumbersIn(const std::string& text) {
  static const std::regex kNumber(R"(-?\d[\d,]*(\.\d+)?(e[+-]?\d+)?)");
  std::vector<double> numbers;
  for (std::sregex_iterator match(text.begin(), text.end(), kNumber), end; match != end; ++match) {
    std::string digits = match->str();
    std::erase(digits, ',');
    numbers.push_back(std::stod(digits));
  }
  return numbers;
}

// "1 to 64", "0 to `batch`", "above 0, at most 1", "0 to below 1": whether the words say the
// bounds. Words may follow; a bound that is no number is another key's value.
void ExpectSays(const std::string& path, const std::string& range, double min, bool open_min,
                double max, bool open_max) {
  const std::vector<double> numbers = NumbersIn(range);
  const bool max_is_a_key = range.find("to `") != std::string::npos;
  ASSERT_GE(numbers.size(), max_is_a_key ? 1u : 2u) << path << ": " << range;
  EXPECT_EQ(numbers[0], min) << path << ": " << range;
  EXPECT_EQ(range.rfind("above ", 0) == 0, open_min) << path << ": " << range;
  if (max_is_a_key) return;
  EXPECT_EQ(numbers[1], max) << path << ": " << range;
  EXPECT_EQ(range.find("below ") != std::string::npos, open_max) << path << ": " << range;
}

TEST(JobSpecDocs, TheRangesAreThoseThatAreChecked) {
  const auto rows = DocumentedKeys();
  JobSpec spec;
  for (const SpecKey& key : KeysOf(spec)) {
    const std::string path = key.Path();
    const std::string& range = rows.at(path).range;
    if (const auto* integer = std::get_if<IntegerKey>(&key.value)) {
      ExpectSays(path, range, static_cast<double>(integer->min), false,
                 static_cast<double>(integer->max), false);
    } else if (const auto* number = std::get_if<NumberKey>(&key.value);
               number != nullptr && path != "eval.temperature") {  // 1/n, which is tested there
      const Interval& interval = number->interval;
      ExpectSays(path, range, interval.min, interval.open_min, interval.max, interval.open_max);
    } else if (const auto* choice = std::get_if<ChoiceKey>(&key.value)) {
      for (const std::string_view one : choice->choices) {
        const std::regex word("(^|[`, ])" + std::string(one) + "([`, ]|$)");
        EXPECT_TRUE(std::regex_search(range, word)) << path << ": " << range << ": " << one;
      }
    }
  }
}

TEST(JobSpecDocs, TheExamplesAreValid) {
  const std::string folder = HALCYON_SOURCE_DIR "/examples";
  const auto names = Env::Posix()->ListDir(folder);
  ASSERT_TRUE(names.ok()) << names.status();
  for (const std::string& name : *names) {
    if (!name.ends_with(".toml")) continue;
    // Without the data, which is fetched, not committed.
    const auto spec = ParseJobSpec(ReadSourceFile("examples/" + name), name, folder,
                                   /*check_files=*/false);
    EXPECT_TRUE(spec.ok()) << spec.status();
  }
}

}  // namespace
}  // namespace halcyon::jobs
