// The fuzzers' checks on mutations of a file of torch.save and of an index, with a fixed seed: the
// same in every build.
#include <gtest/gtest.h>

#include "base/env.h"
#include "tests/fuzz/storage_parsers.h"
#include "tests/fuzz/torch_parsers.h"
#include "tests/testing/mutate.h"
#include "tests/testing/torch_writer.h"

namespace halcyon::storage {
namespace {

constexpr uint64_t kMutants = 20'000;

template <typename Check>
void RunMutants(const std::string& original, Check check) {
  EXPECT_TRUE(check(original));
  uint64_t accepted = 0;
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    accepted += check(testing::Mutate(original, mutant)) ? 1 : 0;
  }
  EXPECT_GT(accepted, 0u);
  EXPECT_LT(accepted, kMutants / 2);
}

TEST(WeightsMutation, PickleStream) {
  RunMutants(testing::PickleStateDict({{"a", "FloatStorage", {2, 3}, "", {1, 2}, 1, "", 7},
                                       {"b", "HalfStorage", {}, ""}}),
             CheckTorchPickleParser);
}

TEST(WeightsMutation, ZipDirectory) {
  const auto file = Env::Posix()->ReadFile(
      JoinPath(HALCYON_SOURCE_DIR, "tests/storage/weights/torch_state_dict.bin"));
  ASSERT_TRUE(file.ok()) << file.status();
  // Most of the file is contents, which the directory does not look at.
  EXPECT_TRUE(CheckZipParser(*file));
  RunMutants(testing::WriteZip({{"m/data.pkl", "p"}, {"m/data/0", "1234"}}), CheckZipParser);
}

TEST(WeightsMutation, Index) {
  RunMutants(WeightsIndexText(
                 PlanWeights({{"a.weight", DType::kF32, {2}}, {"b.weight", DType::kF32, {3}}}, 8)),
             CheckWeightsIndexParser);
}

}  // namespace
}  // namespace halcyon::storage
