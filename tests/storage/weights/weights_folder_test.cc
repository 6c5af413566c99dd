#include "storage/weights/weights_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/power_cut_env.h"
#include "tests/testing/torch_writer.h"

namespace halcyon::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename Number>
std::string Bytes(const std::vector<Number>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Number)};
}

class WeightsFolderTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(env_.CreateDirs("/w").ok()); }
  void Write(const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(env_.NewWritableFile("/w/" + name).value()->Append(bytes).ok());
  }
  void WriteTorch(const std::string& name, const std::string& tensor, float value) {
    Write(name, testing::WriteTorchFile(
                    {{tensor, "FloatStorage", {1}, Bytes(std::vector<float>{value})}}));
  }
  void WriteSafe(const std::string& name, const std::string& tensor, DType dtype, int64_t size,
                 const std::string& bytes) {
    ASSERT_TRUE(WriteSafetensors(env_, "/w/" + name, {{tensor, dtype, {size}, bytes}}, {}).ok());
  }
  void ExpectRefused(const std::string& reason) {
    const auto folder = WeightsFolder::Open(env_, "/w");
    ASSERT_FALSE(folder.ok()) << "accepted, expected: " << reason;
    EXPECT_EQ(folder.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(MessageOf(folder.status()), HasSubstr(reason));
  }

  testing::PowerCutEnv env_;
};

TEST_F(WeightsFolderTest, EveryFloatTypeBecomesAFloat) {
  const std::vector<std::tuple<DType, std::string, float>> cases = {
      {DType::kF32, Bytes(std::vector<float>{0.1f, -2.5f}), 0.1f},
      {DType::kF64, Bytes(std::vector<double>{0.1, -2.5}), 0.1f},
      {DType::kF16, Bytes(std::vector<uint16_t>{0x2e66, 0xc100}), 0.0999755859375f},
      {DType::kBF16, Bytes(std::vector<uint16_t>{0x3dcd, 0xc020}), 0.10009765625f}};
  for (const auto& [dtype, bytes, first] : cases) {
    WriteSafe("model.safetensors", "t", dtype, 2, bytes);
    const auto folder = WeightsFolder::Open(env_, "/w");
    ASSERT_TRUE(folder.ok()) << folder.status();
    const auto floats = (*folder)->ReadFloats("t");
    ASSERT_TRUE(floats.ok()) << floats.status();
    EXPECT_THAT(*floats, ElementsAre(first, -2.5f)) << NameOf(dtype);
  }
  WriteSafe("model.safetensors", "t", DType::kI64, 1, Bytes(std::vector<int64_t>{1}));
  const auto folder = WeightsFolder::Open(env_, "/w");
  EXPECT_THAT(MessageOf((*folder)->ReadFloats("t").status()), HasSubstr("\"t\" is I64"));
  EXPECT_TRUE(absl::IsNotFound((*folder)->ReadFloats("u").status()));
}

TEST_F(WeightsFolderTest, ShardsAreOneFolder) {
  WriteTorch("pytorch_model-00001-of-00002.bin", "a", 1);
  WriteTorch("pytorch_model-00002-of-00002.bin", "b", 2);
  Write("pytorch_model.bin.index.json",
        R"({"metadata":{"total_size":8},"weight_map":{"a":"pytorch_model-00001-of-00002.bin",)"
        R"("b":"pytorch_model-00002-of-00002.bin"}})");
  const auto folder = WeightsFolder::Open(env_, "/w");
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_THAT(*(*folder)->ReadFloats("a"), ElementsAre(1.0f));
  EXPECT_THAT(*(*folder)->ReadFloats("b"), ElementsAre(2.0f));
}

TEST_F(WeightsFolderTest, AnIndexMustAgreeWithItsShards) {
  const auto index = [&](const std::string& map) {
    Write("model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
  };
  WriteSafe("1.safetensors", "a", DType::kF32, 1, "abcd");
  WriteSafe("2.safetensors", "a", DType::kF32, 1, "abcd");
  index(R"("b":"1.safetensors")");
  ExpectRefused("tensor \"b\" is not in 1.safetensors");
  index(R"("a":"1.safetensors","b":"2.safetensors")");
  ExpectRefused("\"a\" is in another shard, too");
  index(R"("a":"../1.safetensors")");
  ExpectRefused("no name of a shard");
  index("");
  ASSERT_TRUE(WeightsFolder::Open(env_, "/w").ok());
  WriteTorch("3.bin", "c", 1);
  index(R"("a":"1.safetensors","c":"3.bin")");
  ASSERT_TRUE(WeightsFolder::Open(env_, "/w").ok());
  ASSERT_TRUE(WriteSafetensors(env_, "/w/1.safetensors",
                               {{"a", DType::kF32, {1}, "abcd"}, {"d", DType::kF32, {1}, "abcd"}},
                               {})
                  .ok());
  ExpectRefused("does not list tensor \"d\" of 1.safetensors");
}

TEST_F(WeightsFolderTest, AMissingOrDamagedShardIsNamed) {
  WriteSafe("1.safetensors", "a", DType::kF32, 1, "abcd");
  Write("model.safetensors.index.json",
        R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  ExpectRefused("names the shard 2.safetensors, which is missing");
  WriteSafe("2.safetensors", "b", DType::kF32, 1, "abcd");
  ASSERT_TRUE(WeightsFolder::Open(env_, "/w").ok());
  env_.Contents("/w/2.safetensors").pop_back();
  const auto folder = WeightsFolder::Open(env_, "/w");
  EXPECT_TRUE(absl::IsDataLoss(folder.status())) << folder.status();
  EXPECT_THAT(MessageOf(folder.status()), HasSubstr("/w/2.safetensors"));
}

TEST_F(WeightsFolderTest, TheTotalSizeMustBeThatOfTheTensors) {
  WriteSafe("1.safetensors", "a", DType::kF32, 1, "abcd");
  WriteSafe("2.safetensors", "b", DType::kF16, 3, "abcdef");
  const auto index = [&](const std::string& total) {
    Write("model.safetensors.index.json", "{\"metadata\":{\"total_size\":" + total +
                                              "},\"weight_map\":{\"a\":\"1.safetensors\","
                                              "\"b\":\"2.safetensors\"}}");
  };
  index("10");
  ASSERT_TRUE(WeightsFolder::Open(env_, "/w").ok());
  for (const char* total : {"9", "11", "0"}) {
    index(total);
    ExpectRefused(std::string("total_size is ") + total + ", the shards' tensors have 10 bytes");
  }
}

// Tools count tensors that share a storage once, or each.
TEST_F(WeightsFolderTest, TensorsThatShareAStorageCountOnceOrEach) {
  const std::string bytes = Bytes(std::vector<float>{1, 2});
  Write("1.bin", testing::WriteTorchFile({{"a", "FloatStorage", {2}, bytes},
                                          {"b", "FloatStorage", {2}, "", {}, 0, "a"}}));
  const auto index = [&](const std::string& total) {
    Write("pytorch_model.bin.index.json",
          "{\"metadata\":{\"total_size\":" + total +
              "},\"weight_map\":{\"a\":\"1.bin\",\"b\":\"1.bin\"}}");
  };
  for (const char* total : {"8", "16"}) {
    index(total);
    EXPECT_TRUE(WeightsFolder::Open(env_, "/w").ok()) << total;
  }
  index("4");
  ExpectRefused("total_size is 4");
  index("17");
  ExpectRefused("total_size is 17");
}

TEST_F(WeightsFolderTest, ShardsOfTwoNetworksDifferInTheirMetadata) {
  ASSERT_TRUE(
      WriteSafetensors(env_, "/w/1.safetensors", {{"a", DType::kF32, {1}, "abcd"}}, {{"k", "1"}})
          .ok());
  ASSERT_TRUE(
      WriteSafetensors(env_, "/w/2.safetensors", {{"b", DType::kF32, {1}, "abcd"}}, {{"k", "2"}})
          .ok());
  Write("model.safetensors.index.json",
        R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  const auto folder = WeightsFolder::Open(env_, "/w");
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_THAT(MessageOf((*folder)->Metadata().status()),
              HasSubstr("2.safetensors: has other metadata than 1.safetensors"));
}

TEST_F(WeightsFolderTest, AnEmptyFolderIsAClearError) { ExpectRefused("no weights there"); }

TEST(ExplainMissing, NamesAPrefixThatMostTensorsHaveOrLack) {
  std::map<std::string, WeightsFolder::Tensor> wrapped;
  for (const char* name : {"module.a.weight", "module.b.weight", "module.c.bias", "x.a.weight"}) {
    wrapped[name] = {};
  }
  EXPECT_NE(ExplainMissing({"a.weight", "b.weight", "d.weight"}, wrapped)
                .find("the names in the file begin with \"module.\""),
            std::string::npos);
  EXPECT_EQ(ExplainMissing({"a.weight", "d.weight", "e.weight"}, wrapped), "")
      << "one of three is chance";
  std::map<std::string, WeightsFolder::Tensor> part;
  for (const char* name : {"layers.0.w", "layers.1.w"}) part[name] = {};
  EXPECT_NE(ExplainMissing({"model.layers.0.w", "model.layers.1.w", "head.w"}, part)
                .find("the names in the file lack \"model.\""),
            std::string::npos);
  EXPECT_EQ(ExplainMissing({}, part), "");
}

}  // namespace
}  // namespace halcyon::storage
