#include "worker/training/checkpointing.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <span>

#include "base/fault_point.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

std::string_view BytesOf(const at::Tensor& host) {
  return {static_cast<const char*>(host.const_data_ptr()), host.nbytes()};
}

// The arrays of a shard that a checkpoint holds, by their prefix in the file.
std::vector<std::pair<const char*, at::Tensor>> ArraysOf(const UnitShard& shard) {
  if (!shard.trains()) return {{"param", shard.value}};
  return {{"param", shard.value}, {"exp_avg", shard.exp_avg}, {"exp_avg_sq", shard.exp_avg_sq}};
}

bool SameParameters(const std::vector<storage::UnitLayout>& a,
                    const std::vector<storage::UnitLayout>& b) {
  const auto same_parameter = [](const auto& x, const auto& y) {
    return x.name == y.name && x.shape == y.shape && x.offset == y.offset;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const auto& x, const auto& y) {
    return x.name == y.name && x.numel == y.numel &&
           std::equal(x.parameters.begin(), x.parameters.end(), y.parameters.begin(),
                      y.parameters.end(), same_parameter);
  });
}

// The folder in the store; "" when the stage is to start at its beginning.
absl::StatusOr<std::string> FindFolder(storage::CheckpointStore& store,
                                       std::vector<std::string>* rejected) {
  auto found = store.FindLastGood();
  if (absl::IsNotFound(found.status())) return "";
  if (absl::IsDataLoss(found.status())) {
    return FailedPrecondition(MessageOf(found.status()) +
                              ": no whole one is left to go on from; to start the stage over run "
                              "the same command with --from-scratch");
  }
  RETURN_IF_ERROR(found.status());
  *rejected = found->rejected;
  return found->manifest.folder;
}

absl::Status LoadShards(storage::CheckpointStore& store, Fsdp& fsdp,
                        const storage::CheckpointManifest& manifest,
                        const std::string& fingerprint) {
  if (manifest.fingerprint != fingerprint) {
    return FailedPrecondition(store.root() + ": the checkpoint belongs to stage fingerprint " +
                              manifest.fingerprint + ", this stage is " + fingerprint);
  }
  if (!SameParameters(manifest.units, fsdp.Layouts())) {
    return FailedPrecondition(store.root() +
                              ": the checkpoint's parameters differ from the model's");
  }
  for (const UnitShard* shard : fsdp.shards()) {
    for (const auto& [array, values] : ArraysOf(*shard)) {
      at::Tensor host = values.is_cpu() ? values : at::empty(values.sizes(), at::kFloat);
      const std::span<float> read(host.mutable_data_ptr<float>(),
                                  static_cast<size_t>(host.numel()));
      RETURN_IF_ERROR(store.ReadFlat(manifest, array, shard->unit, shard->first, read));
      if (!values.is_cpu()) values.copy_(host);
    }
  }
  fsdp.ValuesChanged();
  return absl::OkStatus();
}

}  // namespace

absl::Status Agree(cluster::Collectives& collectives, const absl::Status& mine) {
  const json encoded = {{"code", static_cast<int>(mine.code())}, {"message", MessageOf(mine)}};
  ASSIGN_OR_RETURN(const auto all, collectives.AllGatherBytes(encoded.dump()));
  for (size_t rank = 0; rank < all.size(); ++rank) {
    const json status = json::parse(all[rank]);
    if (status["code"] != 0) {
      return MakeStatus(
          static_cast<absl::StatusCode>(status["code"].get<int>()),
          "rank " + std::to_string(rank) + ": " + status["message"].get<std::string>());
    }
  }
  return absl::OkStatus();
}

absl::Status SaveCheckpoint(storage::CheckpointStore& store, Fsdp& fsdp,
                            cluster::Collectives& collectives, storage::CheckpointManifest manifest,
                            uint64_t keep) {
  std::vector<at::Tensor> hosts;  // keep what the views show
  std::vector<storage::TensorView> tensors;
  for (const UnitShard* shard : fsdp.shards()) {
    for (const auto& [array, values] : ArraysOf(*shard)) {
      hosts.push_back(shard->SliceOf(values).cpu());
      tensors.push_back({std::string(array) + "." + shard->unit,
                         storage::DType::kF32,
                         {shard->slice_length},
                         BytesOf(hosts.back())});
    }
  }
  // Slices number the arrays from their beginning, whatever ranks keep them.
  const int slice = fsdp.plan().slice();
  const auto written = store.WriteShard(manifest.step, static_cast<uint32_t>(slice),
                                        static_cast<uint32_t>(collectives.size()), tensors);
  RETURN_IF_ERROR(Agree(collectives, written.status()));
  const json mine = {{"slice", slice},
                     {"name", written->name},
                     {"bytes", written->bytes},
                     {"xxh3", written->xxh3}};
  ASSIGN_OR_RETURN(const auto all, collectives.AllGatherBytes(mine.dump()));
  absl::Status committed;
  if (collectives.rank() == 0) {
    manifest.world_size = static_cast<uint32_t>(collectives.size());
    manifest.units = fsdp.Layouts();
    manifest.shards.resize(all.size());
    for (const std::string& text : all) {
      const json shard = json::parse(text);
      manifest.shards[shard["slice"]] = {shard["name"], shard["bytes"], shard["xxh3"]};
    }
    FaultPoint("rank 0 " + manifest.stage + " commit " + std::to_string(manifest.step));
    committed = store.Commit(manifest, keep);
  }
  // kDataLoss is what a damaged input says, which no other try changes; this may be better next
  // time.
  if (absl::IsDataLoss(committed)) committed = Internal(MessageOf(committed));
  return Agree(collectives, committed);
}

absl::StatusOr<Resumed> RestoreCheckpoint(storage::CheckpointStore& store, Fsdp& fsdp,
                                          cluster::Collectives& collectives,
                                          const std::string& fingerprint) {
  Resumed resumed;
  absl::StatusOr<std::string> folder = std::string();
  if (collectives.rank() == 0) folder = FindFolder(store, &resumed.rejected);
  RETURN_IF_ERROR(Agree(collectives, folder.status()));
  ASSIGN_OR_RETURN(const auto folders, collectives.AllGatherBytes(*folder));
  if (folders[0].empty()) return resumed;
  auto manifest = store.LoadFolder(folders[0], /*verify_shards=*/false);
  absl::Status loaded = manifest.status();
  if (loaded.ok()) loaded = LoadShards(store, fsdp, *manifest, fingerprint);
  RETURN_IF_ERROR(Agree(collectives, loaded));
  resumed.step = manifest->step;
  resumed.manifest = *std::move(manifest);
  return resumed;
}

}  // namespace halcyon::worker
