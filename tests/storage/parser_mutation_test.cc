// The fuzzers' checks on mutated files, with a fixed seed: the same in every build.
#include <gtest/gtest.h>

#include "tests/fuzz/storage_parsers.h"
#include "tests/storage/checkpoint_fixture.h"
#include "tests/testing/mutate.h"

namespace halcyon::storage {
namespace {

constexpr uint64_t kMutants = 5000;

// How many of the mutants the check accepted.
template <typename Check>
uint64_t RunMutants(const std::string& original, Check check) {
  EXPECT_TRUE(check(original));
  uint64_t accepted = 0;
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    accepted += check(testing::Mutate(original, mutant)) ? 1 : 0;
  }
  return accepted;
}

class ParserMutationTest : public CheckpointTest {
 protected:
  void SetUp() override { ASSERT_TRUE(Write({.step = 100, .world_size = 2}).ok()); }
};

TEST_F(ParserMutationTest, SafetensorsHeader) {
  const std::string file = *env_.ReadFile(Path(100, "rank-0-of-2.safetensors"));
  const uint64_t accepted = RunMutants(file, CheckSafetensorsParser);
  // Edits of data or of names are no business of the header; most others must be noticed.
  EXPECT_GT(accepted, kMutants / 100);
  EXPECT_LT(accepted, kMutants / 2);
}

TEST_F(ParserMutationTest, Manifest) {
  const uint64_t accepted =
      RunMutants(*env_.ReadFile(Path(100, "manifest.json")), CheckManifestParser);
  EXPECT_GT(accepted, kMutants / 100);
  EXPECT_LT(accepted, kMutants / 2);
}

}  // namespace
}  // namespace halcyon::storage
