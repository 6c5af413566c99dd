// Writes checkpoints of a small made-up model whose every number is known, and checks them.
#ifndef HALCYON_TESTS_STORAGE_CHECKPOINT_FIXTURE_H_
#define HALCYON_TESTS_STORAGE_CHECKPOINT_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "storage/checkpoint.h"
#include "storage/checkpoint_manifest.h"
#include "tests/storage/power_cut_env.h"

namespace halcyon::storage {

inline constexpr const char* kArrays[] = {"param", "exp_avg", "exp_avg_sq"};

// Two units; neither size is a multiple of 2 or 3 but "embed" / 2.
inline std::vector<UnitLayout> TestUnits() {
  return {{.name = "embed", .numel = 10, .parameters = {{"embed.weight", {5, 2}, 0}}},
          {.name = "block-0",
           .numel = 7,
           .parameters = {{"block-0.bias", {}, 0}, {"block-0.weight", {2, 3}, 1}}}};
}

// Element i of a unit's array in the checkpoint of (step, attempt); no two are equal.
inline float ValueOf(uint64_t step, uint64_t attempt, const std::string& array,
                     const std::string& unit, uint64_t i) {
  return static_cast<float>(1 + i + 100 * array.size() + 2000 * unit.size() + 20000 * attempt) +
         static_cast<float>(step) / 1024;
}

struct TestWrite {
  uint64_t step = 0;
  uint32_t world_size = 3;
  uint64_t claim = 1;
  uint64_t keep = 10;
  uint64_t attempt = 0;  // gives other contents for the same step
};

inline CheckpointManifest TestManifest(const TestWrite& write) {
  CheckpointManifest manifest;
  manifest.step = write.step;
  manifest.claim = write.claim;
  manifest.world_size = write.world_size;
  manifest.stage = "model";
  manifest.fingerprint = std::string(64, 'a');
  manifest.seed = 0xFFFFFFFFFFFFFFFFull;
  manifest.samples_seen = 32 * write.step;
  manifest.sample_log_format = 1;
  manifest.spec_toml = "[job]\nname = \"caf\u00e9 \\\"x\\\"\"\n";
  manifest.inputs = {{"latents", "5eed"}, {"tokens", "f00d"}};
  manifest.runtime = {{"attempt", std::to_string(write.attempt)}, {"threads", "1"}};
  manifest.units = TestUnits();
  return manifest;
}

// Rank `rank`'s part of all arrays, padded with a value that no reader may see.
inline absl::StatusOr<ShardFile> WriteTestShard(CheckpointStore& store, const TestWrite& write,
                                                uint32_t rank) {
  std::vector<std::vector<float>> buffers;
  std::vector<TensorView> tensors;
  for (const UnitLayout& unit : TestUnits()) {
    const uint64_t length = (unit.numel + write.world_size - 1) / write.world_size;
    for (const std::string array : kArrays) {
      std::vector<float>& shard = buffers.emplace_back();
      for (uint64_t i = rank * length; i < (rank + 1) * length; ++i) {
        shard.push_back(i < unit.numel ? ValueOf(write.step, write.attempt, array, unit.name, i)
                                       : -1.0f);
      }
      tensors.push_back({array + "." + unit.name,
                         DType::kF32,
                         {static_cast<int64_t>(length)},
                         {reinterpret_cast<const char*>(shard.data()), length * sizeof(float)}});
    }
  }
  return store.WriteShard(write.step, rank, write.world_size, tensors);
}

// The whole protocol as a gang runs it: each rank with a store of its own, then rank 0 commits.
inline absl::Status WriteCheckpoint(Env& env, const std::string& root, const TestWrite& write) {
  CheckpointManifest manifest = TestManifest(write);
  for (uint32_t rank = 0; rank < write.world_size; ++rank) {
    CheckpointStore store(env, root);
    RETURN_IF_ERROR(store.Fence({write.claim, 0}));
    ASSIGN_OR_RETURN(ShardFile shard, WriteTestShard(store, write, rank));
    manifest.shards.push_back(std::move(shard));
  }
  return CheckpointStore(env, root).Commit(manifest, write.keep);
}

// All that `found` promises is there, element by element, and is the checkpoint of `write`.
inline void ExpectHolds(CheckpointStore& store, const CheckpointManifest& found,
                        const TestWrite& write) {
  CheckpointManifest expected = TestManifest(write);
  expected.claim = found.claim;
  expected.shards = found.shards;  // their sums were checked against the files
  EXPECT_EQ(*ManifestToJson(found), *ManifestToJson(expected));
  for (const UnitLayout& unit : TestUnits()) {
    for (const std::string array : kArrays) {
      std::vector<float> values(unit.numel), wanted(unit.numel);
      const absl::Status read = store.ReadFlat(found, array, unit.name, 0, values);
      ASSERT_TRUE(read.ok()) << read;
      for (uint64_t i = 0; i < unit.numel; ++i) {
        wanted[i] = ValueOf(write.step, write.attempt, array, unit.name, i);
      }
      EXPECT_EQ(values, wanted) << array << "." << unit.name;
    }
  }
}

class CheckpointTest : public ::testing::Test {
 protected:
  static constexpr const char* kRoot = "/home/checkpoints";

  absl::Status Write(const TestWrite& write) { return WriteCheckpoint(env_, kRoot, write); }
  static std::string Path(uint64_t step, const std::string& file, uint64_t claim = 1) {
    return JoinPath(JoinPath(kRoot, CheckpointName(step, {claim, 0})), file);
  }

  testing::PowerCutEnv env_;
  CheckpointStore store_{env_, kRoot};
};

}  // namespace halcyon::storage

#endif  // HALCYON_TESTS_STORAGE_CHECKPOINT_FIXTURE_H_
