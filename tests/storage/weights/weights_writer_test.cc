#include "storage/weights/weights_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "storage/weights/weights_folder.h"
#include "tests/storage/power_cut_env.h"

namespace halcyon::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Tensors of 4 bytes each: a ... d.
class WeightsWriterTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(env_.CreateDirs("/w").ok()); }

  absl::Status Write(uint64_t shard_bytes_max) {
    const TensorSource source = [&](const TensorInfo& tensor) -> absl::StatusOr<std::string_view> {
      if (tensor.name == fails_at_) return DataLoss("no " + tensor.name);
      bytes_ = std::string(4, tensor.name[0]);
      return bytes_;
    };
    const WeightsLayout layout = PlanWeights({{"c", DType::kF32, {1}},
                                              {"a", DType::kU8, {4}},
                                              {"d", DType::kF32, {1, 1}},
                                              {"b", DType::kF32, {1}}},
                                             shard_bytes_max);
    return WriteWeights(env_, "/w", layout, {{"kind", "x"}}, source);
  }

  testing::PowerCutEnv env_;
  std::string bytes_;
  std::string fails_at_;
};

TEST_F(WeightsWriterTest, OneFileHasTheBytesOfAFileWrittenAtOnce) {
  ASSERT_TRUE(Write(16).ok());
  ASSERT_TRUE(WriteSafetensors(env_, "/at-once",
                               {{"a", DType::kU8, {4}, "aaaa"},
                                {"b", DType::kF32, {1}, "bbbb"},
                                {"c", DType::kF32, {1}, "cccc"},
                                {"d", DType::kF32, {1, 1}, "dddd"}},
                               {{"kind", "x"}})
                  .ok());
  EXPECT_THAT(*env_.ListDir("/w"), ElementsAre("model.safetensors"));
  EXPECT_EQ(*env_.ReadFile("/w/model.safetensors"), *env_.ReadFile("/at-once"));
}

TEST_F(WeightsWriterTest, ShardsAreReadBack) {
  ASSERT_TRUE(Write(8).ok());
  EXPECT_THAT(*env_.ListDir("/w"),
              ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                          "model.safetensors.index.json"));
  const auto folder = WeightsFolder::Open(env_, "/w");
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_EQ((*folder)->tensors().at("b").file, "model-00001-of-00002.safetensors");
  EXPECT_EQ((*folder)->tensors().at("a").file, "model-00002-of-00002.safetensors");
  EXPECT_EQ((*folder)->tensors().at("d").shape, (std::vector<int64_t>{1, 1}));
  for (const char* name : {"a", "b", "c", "d"}) {
    EXPECT_EQ(*(*folder)->Read(name), std::string(4, name[0]));
    std::string into(4, ' ');
    ASSERT_TRUE((*folder)->ReadInto(name, into).ok());
    EXPECT_EQ(into, std::string(4, name[0]));
  }
  EXPECT_EQ((*folder)->Metadata()->at("kind"), "x");
}

TEST_F(WeightsWriterTest, WhatIsHalfWrittenIsRemovedAndNamedByNoIndex) {
  fails_at_ = "c";
  EXPECT_TRUE(absl::IsDataLoss(Write(4)));
  EXPECT_THAT(*env_.ListDir("/w"), ElementsAre("model-00001-of-00004.safetensors"));
  EXPECT_FALSE(WeightsFolder::Open(env_, "/w").ok());
}

TEST_F(WeightsWriterTest, AFullDiskGetsItsRoomBack) {
  env_.LimitBytes(150);  // one file's header and tensor, and a part of the next file
  const absl::Status status = Write(4);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(*env_.ListDir("/w"), ElementsAre("model-00001-of-00004.safetensors"));
}

TEST_F(WeightsWriterTest, TheDigestIsThatOfTheBytesWritten) {
  const auto writer =
      SafetensorsWriter::Create(env_, "/f", {{"a", DType::kF32, {1}}, {"b", DType::kF32, {1}}}, {});
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE((*writer)->Append("aaaa").ok());
  ASSERT_TRUE((*writer)->Append("bbbb").ok());
  const auto finished = (*writer)->Finish();
  ASSERT_TRUE(finished.ok()) << finished.status();
  const std::string bytes = *env_.ReadFile("/f");
  EXPECT_EQ(finished->sha256, Sha256::Of(bytes));
  EXPECT_EQ(finished->bytes, bytes.size());
}

// Larger than the pieces in which it is read.
TEST_F(WeightsWriterTest, ALargeTensorIsReadInPieces) {
  std::string bytes((9 << 20) + 3, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 24);
  ASSERT_TRUE(WriteSafetensors(env_, "/w/model.safetensors",
                               {{"small", DType::kU8, {1}, "x"},
                                {"large", DType::kU8, {static_cast<int64_t>(bytes.size())}, bytes}},
                               {})
                  .ok());
  std::string into(bytes.size(), ' ');
  ASSERT_TRUE((*WeightsFolder::Open(env_, "/w"))->ReadInto("large", into).ok());
  EXPECT_TRUE(into == bytes);
}

}  // namespace
}  // namespace halcyon::storage
