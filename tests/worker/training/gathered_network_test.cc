#include "worker/training/gathered_network.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "cluster/in_process_gang.h"
#include "storage/weights/weights_folder.h"
#include "tests/testing/faulty_env.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/training/toy_trainee.h"
#include "worker/inputs/network_file.h"

namespace halcyon::worker {
namespace {

using jobs::Sharding;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kRanksPerNode = 2;
// The toy's tensors have 28, 140 and 84 bytes, in the order of their names: a file each.
constexpr uint64_t kSmallFiles = 150;

struct GangSetup {
  int ranks = 1;
  Sharding sharding = Sharding::kFull;
  at::ScalarType gather_type = at::kFloat;
};

class NetworkFileTest : public ::testing::Test {
 protected:
  // The same result on all ranks.
  absl::StatusOr<WrittenNetwork> TryWrite(const GangSetup& setup) {
    std::mutex mutex;
    std::vector<absl::StatusOr<WrittenNetwork>> results;
    const auto rank_main = [&](cluster::Collectives& collectives) {
      ToyTrainee toy{jobs::TrainSpec{}};
      const auto plan = PlanShards(setup.sharding, collectives);
      ASSERT_TRUE(plan.ok()) << plan.status();
      Fsdp fsdp(toy.units(), &collectives, *plan,
                {.sharding = setup.sharding, .gather_type = setup.gather_type});
      fsdp.Initialise(toy.init_rule(), toy.init_std(), 4);
      auto result = WriteNetwork(fsdp, collectives, env_, output_);
      const std::lock_guard lock(mutex);
      results.push_back(std::move(result));
    };
    cluster::RunInProcessGang(setup.ranks, rank_main, kRanksPerNode);
    for (const auto& result : results) {
      EXPECT_EQ(result.status(), results[0].status());
      EXPECT_EQ(result.ok() ? result->content_digest : "",
                results[0].ok() ? results[0]->content_digest : "");
    }
    return results[0];
  }
  WrittenNetwork Write(const GangSetup& setup = {}) {
    const auto written = TryWrite(setup);
    EXPECT_TRUE(written.ok()) << written.status();
    return written.value_or(WrittenNetwork{});
  }
  // Every file of the folder with its bytes.
  std::map<std::string, std::string> Contents() {
    std::map<std::string, std::string> contents;
    const auto names = env_.ListDir(output_.dir);
    for (const std::string& name : names.value()) {
      contents[name] = *env_.ReadFile(JoinPath(output_.dir, name));
    }
    return contents;
  }
  void Edit(const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(WriteFileAtomically(env_, JoinPath(output_.dir, name), bytes).ok());
  }
  absl::Status Read() {
    ToyTrainee toy{jobs::TrainSpec{}};
    RETURN_IF_ERROR(DescribeNetwork(env_, output_.dir).status());
    return ReadNetwork(env_, output_.dir, toy.units());
  }

  testing::TempDir dir_;
  testing::FaultyEnv env_{Env::Posix()};
  NetworkOutput output_{.dir = dir_.Path("network"),
                        .metadata = {{"vocab_size", "12"}, {"kind", "x"}},
                        .spec_toml = "name = \"toy\"\n[data]\nsources = [\"a.txt\"]\n"};
};

TEST_F(NetworkFileTest, BytesDependOnNeitherRanksNorSharding) {
  for (const uint64_t shard_bytes_max : {storage::kShardBytesMax, kSmallFiles}) {
    output_.shard_bytes_max = shard_bytes_max;
    const WrittenNetwork alone = Write();
    const auto contents = Contents();
    EXPECT_EQ(contents.size(), shard_bytes_max == kSmallFiles ? 5u : 2u);
    for (const int ranks : {2, 3, 4, 7}) {
      for (const Sharding sharding :
           {Sharding::kFull, Sharding::kGradient, Sharding::kNone, Sharding::kHybrid}) {
        if (sharding == Sharding::kHybrid && ranks % kRanksPerNode != 0) continue;
        const WrittenNetwork written = Write({ranks, sharding});
        EXPECT_EQ(written.content_digest, alone.content_digest);
        EXPECT_EQ(written.bytes, alone.bytes);
        EXPECT_EQ(Contents(), contents) << ranks;
      }
    }
  }
}

TEST_F(NetworkFileTest, ShardsHaveTheSameValuesAsOneFile) {
  Write();
  ToyTrainee whole{jobs::TrainSpec{}}, parts{jobs::TrainSpec{}};
  ASSERT_TRUE(ReadNetwork(env_, output_.dir, whole.units()).ok());
  EXPECT_GT(whole.units()[0]->parameters()[0].value.detach().abs().sum().item<float>(), 0);
  output_.shard_bytes_max = kSmallFiles;
  const WrittenNetwork written = Write({.ranks = 2});
  EXPECT_THAT(*env_.ListDir(output_.dir),
              ElementsAre("job.toml", "model-00001-of-00003.safetensors",
                          "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
                          "model.safetensors.index.json"));
  EXPECT_EQ(*storage::DigestOfWeights(env_, output_.dir), written.content_digest);
  ASSERT_TRUE(Read().ok());
  ASSERT_TRUE(ReadNetwork(env_, output_.dir, parts.units()).ok());
  for (size_t unit = 0; unit < whole.units().size(); ++unit) {
    for (size_t i = 0; i < whole.units()[unit]->parameters().size(); ++i) {
      EXPECT_TRUE(at::equal(whole.units()[unit]->parameters()[i].value,
                            parts.units()[unit]->parameters()[i].value));
    }
  }
}

// Names of two units by turns, so that each is gathered more than once.
TEST_F(NetworkFileTest, UnitsMayMixTheirNames) {
  constexpr int kTensors = 6;
  for (const uint64_t shard_bytes_max : {storage::kShardBytesMax, uint64_t{40}}) {
    output_.shard_bytes_max = shard_bytes_max;
    cluster::RunInProcessGang(2, [&](cluster::Collectives& collectives) {
      model::Unit even("even"), odd("odd");
      for (int i = 0; i < kTensors; ++i) {
        (i % 2 == 0 ? even : odd).Add("p" + std::to_string(i), {3 + i}, model::InitKind::kZero);
      }
      Fsdp fsdp({&even, &odd}, &collectives);
      for (UnitShard* shard : fsdp.shards()) {
        const int64_t first = shard->first + (shard->unit == "odd" ? 100 : 0);
        shard->value.copy_(at::arange(first, first + shard->value.numel(), at::kFloat));
      }
      fsdp.ValuesChanged();
      ASSERT_TRUE(WriteNetwork(fsdp, collectives, env_, output_).ok());
    });
    const auto weights = storage::WeightsFolder::Open(env_, output_.dir);
    ASSERT_TRUE(weights.ok()) << weights.status();
    float next[] = {0, 100};
    for (int i = 0; i < kTensors; ++i) {
      std::vector<float> expected;
      for (int j = 0; j < 3 + i; ++j) expected.push_back(next[i % 2]++);
      EXPECT_EQ(*(*weights)->ReadFloats("p" + std::to_string(i)), expected);
    }
  }
}

// docs/precision.md: the finished weights are float32 whatever the parameters are gathered in.
TEST_F(NetworkFileTest, BFloat16IsNotWhatIsWritten) {
  const WrittenNetwork exact = Write();
  for (const int ranks : {1, 2}) {
    EXPECT_EQ(Write({.ranks = ranks, .gather_type = at::kBFloat16}).content_digest,
              exact.content_digest);
  }
}

TEST_F(NetworkFileTest, AFolderIsReplaced) {
  output_.shard_bytes_max = kSmallFiles;
  Write({.ranks = 3});
  Edit("left-over", "x");
  output_.shard_bytes_max = storage::kShardBytesMax;
  Write({.ranks = 2});
  EXPECT_THAT(*env_.ListDir(output_.dir), ElementsAre("job.toml", "model.safetensors"));
}

// A rank that cannot write goes on with the others, and all end with its error.
TEST_F(NetworkFileTest, AFullDiskIsTheErrorOfAllRanks) {
  for (const uint64_t shard_bytes_max : {storage::kShardBytesMax, kSmallFiles}) {
    output_.shard_bytes_max = shard_bytes_max;
    Write({.ranks = 3});
    uint64_t total = 0;
    for (const auto& [name, bytes] : Contents()) total += bytes.size();
    for (const uint64_t room : {uint64_t{0}, total / 4, total / 2, total * 3 / 4, total - 1}) {
      ASSERT_TRUE(env_.RemoveTree(output_.dir).ok());
      env_.FailWritesAfter(room, ResourceExhausted("full"));
      const auto written = TryWrite({.ranks = 3});
      env_.StopFailing();
      EXPECT_TRUE(absl::IsResourceExhausted(written.status())) << room << written.status();
      EXPECT_THAT(MessageOf(written.status()), HasSubstr("rank "));
      EXPECT_FALSE(env_.Exists(JoinPath(output_.dir, "job.toml")));
    }
    Write({.ranks = 3});
  }
}

TEST_F(NetworkFileTest, DescribesItself) {
  for (const uint64_t shard_bytes_max : {storage::kShardBytesMax, kSmallFiles}) {
    output_.shard_bytes_max = shard_bytes_max;
    Write();
    const auto description = DescribeNetwork(env_, output_.dir);
    ASSERT_TRUE(description.ok()) << description.status();
    EXPECT_EQ(description->spec.name, "toy");
    EXPECT_EQ(*MetadataNumber(*description, "vocab_size"), 12);
    EXPECT_FALSE(MetadataNumber(*description, "kind").ok());
    EXPECT_FALSE(MetadataNumber(*description, "missing").ok());
  }
}

TEST_F(NetworkFileTest, NamesTheTensorThatDoesNotFit) {
  for (const uint64_t shard_bytes_max : {storage::kShardBytesMax, kSmallFiles}) {
    output_.shard_bytes_max = shard_bytes_max;
    Write();
    model::Unit other("other");
    other.Add("first.weight", {7, 6}, model::InitKind::kWeight);
    EXPECT_THAT(MessageOf(ReadNetwork(env_, output_.dir, {&other})),
                HasSubstr("first.weight is F32 [7, 5], expected F32 [7, 6]"));
    model::Unit fewer("fewer");
    fewer.Add("first.weight", {7, 5}, model::InitKind::kWeight);
    EXPECT_THAT(MessageOf(ReadNetwork(env_, output_.dir, {&fewer})),
                HasSubstr("unexpected tensor"));
    model::Unit more("more");
    more.Add("third.weight", {1}, model::InitKind::kWeight);
    EXPECT_THAT(MessageOf(ReadNetwork(env_, output_.dir, {&more})), HasSubstr("third.weight"));
  }
}

TEST_F(NetworkFileTest, WhatIsWrongWithShardsIsNamed) {
  output_.shard_bytes_max = kSmallFiles;
  Write();
  const auto contents = Contents();
  const std::string index = contents.at("model.safetensors.index.json");
  const std::string first = "model-00001-of-00003.safetensors";
  const auto expect_refused = [&](const std::string& reason) {
    const absl::Status status = Read();
    EXPECT_FALSE(status.ok()) << reason;
    EXPECT_THAT(MessageOf(status), HasSubstr(reason));
  };
  const auto expect_index_refused = [&](const std::string& from, const std::string& to,
                                        const std::string& reason) {
    std::string edited = index;
    edited.replace(edited.find(from), from.size(), to);
    Edit("model.safetensors.index.json", edited);
    expect_refused(reason);
  };
  expect_index_refused("252", "253", "total_size is 253, the shards' tensors have 252 bytes");
  expect_index_refused("\"model-00001", "\"../model-00001", "no name of a shard in this folder");
  expect_index_refused("first.bias", "first.bios", "tensor \"first.bios\" is not in " + first);
  expect_index_refused("00002-of", "00004-of", "which is missing");
  expect_index_refused("\"second", "\"first.bias\": \"x.bin\",\n\"second", "appears twice");
  expect_index_refused("{", "", "");
  Edit("model.safetensors.index.json", index);
  ASSERT_TRUE(Read().ok());
  Edit(first, contents.at(first).substr(0, contents.at(first).size() - 1));
  expect_refused(first);
  Edit(first, contents.at("model-00002-of-00003.safetensors"));
  expect_refused("is in another shard, too");
  ASSERT_TRUE(env_.RemoveFile(JoinPath(output_.dir, first)).ok());
  expect_refused("names the shard " + first + ", which is missing");
}

TEST_F(NetworkFileTest, AnEmptyFolderIsAClearError) {
  const auto description = DescribeNetwork(env_, output_.dir);
  EXPECT_TRUE(absl::IsInvalidArgument(description.status())) << description.status();
}

}  // namespace
}  // namespace halcyon::worker
