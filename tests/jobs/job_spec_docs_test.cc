// docs/job_spec.md and examples/ against the code.
#include <gtest/gtest.h>

#include <string>

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
