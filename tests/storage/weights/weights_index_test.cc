#include "storage/weights/weights_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The tensors of each file, "a b" for two.
std::vector<std::string> FilesOf(const WeightsLayout& layout) {
  std::vector<std::string> files;
  for (const WeightsLayout::File& file : layout.files) {
    files.emplace_back();
    for (const TensorInfo& tensor : file.tensors) {
      files.back() += (files.back().empty() ? "" : " ") + tensor.name;
    }
  }
  return files;
}

// F32 tensors of 4, 8, ... bytes.
std::vector<TensorInfo> Tensors(const std::vector<std::pair<std::string, int64_t>>& sizes) {
  std::vector<TensorInfo> tensors;
  for (const auto& [name, elements] : sizes) tensors.push_back({name, DType::kF32, {elements}});
  return tensors;
}

TEST(PlanWeights, FilesAreFilledInTheOrderOfNames) {
  const auto tensors = Tensors({{"c", 1}, {"a", 2}, {"d", 9}, {"b", 1}, {"e", 1}});
  const WeightsLayout layout = PlanWeights(tensors, 12);
  EXPECT_THAT(FilesOf(layout), ElementsAre("a b", "c", "d", "e")) << "d is larger than a file";
  EXPECT_EQ(layout.files[0].name, "model-00001-of-00004.safetensors");
  EXPECT_EQ(layout.files[3].name, "model-00004-of-00004.safetensors");
  EXPECT_EQ(layout.tensor_bytes, 56u);
  EXPECT_THAT(FilesOf(PlanWeights(tensors, 11)), ElementsAre("a", "b c", "d", "e"));
}

TEST(PlanWeights, TheOrderInWhichTensorsComeDoesNotMatter) {
  auto tensors = Tensors({{"a", 2}, {"b", 1}, {"c", 3}, {"d", 2}});
  tensors.push_back({"z", DType::kF64, {1}});
  const auto names = [](const TensorInfo& x, const TensorInfo& y) { return x.name < y.name; };
  std::sort(tensors.begin(), tensors.end(), names);
  do {
    EXPECT_THAT(FilesOf(PlanWeights(tensors, 16)), ElementsAre("z a", "b c", "d"));
  } while (std::next_permutation(tensors.begin(), tensors.end(), names));
}

TEST(PlanWeights, WhatFitsOneFileHasNoIndex) {
  const WeightsLayout layout = PlanWeights(Tensors({{"a", 2}, {"b", 1}}), 12);
  ASSERT_EQ(layout.files.size(), 1u);
  EXPECT_EQ(layout.files[0].name, "model.safetensors");
  EXPECT_EQ(PlanWeights(Tensors({{"a", 2}}), 1).files[0].name, "model.safetensors");
}

// As transformers writes it: two spaces, names in order.
TEST(WeightsIndexText, IsTheOneThatOtherToolsRead) {
  EXPECT_EQ(WeightsIndexText(PlanWeights(Tensors({{"b", 1}, {"a", 2}}), 8)),
            "{\n"
            "  \"metadata\": {\n"
            "    \"total_size\": 12\n"
            "  },\n"
            "  \"weight_map\": {\n"
            "    \"a\": \"model-00001-of-00002.safetensors\",\n"
            "    \"b\": \"model-00002-of-00002.safetensors\"\n"
            "  }\n"
            "}\n");
}

TEST(ParseWeightsIndex, ReadsWhatItWroteAndWhatOthersWrite) {
  const WeightsLayout layout = PlanWeights(Tensors({{"b", 1}, {"a", 2}}), 8);
  const auto index = ParseWeightsIndex(WeightsIndexText(layout));
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->total_bytes, 12u);
  EXPECT_EQ(index->file_of, (std::map<std::string, std::string>{{"a", layout.files[0].name},
                                                                {"b", layout.files[1].name}}));
  EXPECT_EQ(ParseWeightsIndex(R"({"metadata":{"total_size":8.0},"weight_map":{"a":"x.bin"}})")
                ->total_bytes,
            8u);
  EXPECT_FALSE(ParseWeightsIndex(R"({"metadata":{},"weight_map":{}})")->total_bytes.has_value());
  EXPECT_FALSE(ParseWeightsIndex(R"({"weight_map":{}})")->total_bytes.has_value());
}

TEST(ParseWeightsIndex, RefusesWhatIsNoIndex) {
  using absl::StatusCode;
  const std::vector<std::tuple<std::string, StatusCode, std::string>> cases = {
      {"", StatusCode::kDataLoss, ""},
      {"[]", StatusCode::kDataLoss, "weight_map"},
      {R"({"metadata":{"total_size":1}})", StatusCode::kDataLoss, "weight_map"},
      {R"({"weight_map":{"a":1}})", StatusCode::kDataLoss, "weight_map"},
      {R"({"weight_map":{"a":"x.bin","a":"y.bin"}})", StatusCode::kDataLoss,
       "the name \"a\" appears twice"},
      {R"({"metadata":{"total_size":-1},"weight_map":{}})", StatusCode::kDataLoss, "total_size"},
      {R"({"metadata":{"total_size":"1"},"weight_map":{}})", StatusCode::kDataLoss, "total_size"},
      {R"({"metadata":{"total_size":1e300},"weight_map":{}})", StatusCode::kDataLoss, "total_size"},
      {R"({"weight_map":{"a":"../x.safetensors"}})", StatusCode::kInvalidArgument,
       "\"../x.safetensors\", where tensor \"a\" should be, is no name of a shard"},
      {R"({"weight_map":{"a":"/etc/x.bin"}})", StatusCode::kInvalidArgument, "no name of a shard"},
      {R"({"weight_map":{"a":"sub/x.bin"}})", StatusCode::kInvalidArgument, "no name of a shard"},
      {R"({"weight_map":{"a":".."}})", StatusCode::kInvalidArgument, "no name of a shard"},
      {R"({"weight_map":{"a":"x.pt"}})", StatusCode::kInvalidArgument, "no name of a shard"}};
  for (const auto& [text, code, reason] : cases) {
    const auto index = ParseWeightsIndex(text);
    EXPECT_EQ(index.status().code(), code) << text;
    EXPECT_THAT(MessageOf(index.status()), HasSubstr(reason)) << text;
  }
}

// Expected from sha256sum:
//   printf 'one' >a.safetensors; printf 'two' >b.safetensors; sha256sum *.safetensors | sha256sum
TEST(WeightsDigest, IsThatOfTheLinesThatSha256sumPrints) {
  const testing::TempDir dir;
  Env& env = *Env::Posix();
  const auto write = [&](const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(WriteFileAtomically(env, dir.Path(name), bytes).ok());
  };
  EXPECT_TRUE(absl::IsNotFound(DigestOfWeights(env, dir.path()).status()));
  write("a.safetensors", "one");
  write("b.safetensors", "two");
  write(kWeightsIndexFile,
        R"({"weight_map":{"x":"b.safetensors","y":"a.safetensors","z":"a.safetensors"}})");
  EXPECT_EQ(*DigestOfWeights(env, dir.path()),
            "52c093303a4935fbd3ce80f15eea5e967b440566a84232e5e413c324bbfd5aae");
  write(kWeightsFile, "whole");
  EXPECT_EQ(*DigestOfWeights(env, dir.path()), Sha256::Of("whole"));
}

}  // namespace
}  // namespace halcyon::storage
