#include "coordinator/cache_stage.h"

#include <algorithm>
#include <set>

#include "base/fault_point.h"
#include "cluster/outputs.h"
#include "coordinator/start_over.h"
#include "pipeline/shard_plan.h"
#include "storage/artifact_reader.h"

namespace halcyon::coordinator {
namespace {

// Removes SST files that an earlier coordinator's agents left under leases that are no longer
// valid. Everything else stays, what was set aside as well; it is removed with the folder at the
// stage's end.
absl::Status RemoveLeftovers(Env& env, const std::string& work_dir,
                             const std::vector<Fence>& valid) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(work_dir));
  for (const std::string& name : names) {
    const bool is_valid = std::any_of(valid.begin(), valid.end(), [&](Fence fence) {
      return cluster::IsOutputOfLease(name, fence.value());
    });
    if (!is_valid && (name.ends_with(".sst") || name.ends_with(".sst.tmp"))) {
      RETURN_IF_ERROR(env.RemoveTree(JoinPath(work_dir, name)));
    }
  }
  return absl::OkStatus();
}

// Says what to do about a damaged cache.
absl::Status Advise(const absl::Status& status) {
  if (!absl::IsDataLoss(status)) return status;
  return DataLoss("its unfinished cache is damaged: " + MessageOf(status) +
                  "; to make the stage anew run the same command with --from-scratch");
}

absl::StatusOr<std::unique_ptr<storage::CacheBuilder>> OpenBuilder(
    const cluster::StageAssignment& assignment) {
  const std::string dir = JoinPath(assignment.work_dir, kBuildingFolder);
  auto builder = storage::CacheBuilder::Open(dir, assignment.fingerprint);
  RETURN_IF_ERROR(Advise(builder.status()));
  return builder;
}

// A worker's report of the SST file that its lease made.
storage::SstFile SstFromResult(const nlohmann::json& result, std::string path) {
  const nlohmann::json& sst = result.at("sst");
  storage::SstFile file;
  file.path = std::move(path);
  sst.at("file_checksum").get_to(file.file_checksum);
  sst.at("bytes").get_to(file.bytes);
  return file;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CacheStage>> CacheStage::Open(
    Env& env, const std::string& label, const cluster::StageAssignment& assignment,
    const ShardTasks& shards, const std::vector<Fence>& leases) {
  auto stage = std::unique_ptr<CacheStage>(new CacheStage(env, assignment));
  RETURN_IF_ERROR(RemoveLeftovers(env, assignment.work_dir, leases));
  ASSIGN_OR_RETURN(stage->builder_, OpenBuilder(assignment));
  const std::set<uint32_t> committed = stage->builder_->Committed();
  stage->shards_ = shards.count;
  for (uint32_t shard = 0; shard < shards.count; ++shard) {
    if (committed.contains(shard)) continue;
    stage->missing_.Add(label + "/" + std::to_string(shard), shards.parameters(shard));
    stage->shard_of_.push_back(shard);
  }
  return stage;
}

absl::Status CacheStage::Ingest(size_t task, Fence fence, const nlohmann::json& result) {
  const uint32_t shard = shard_of_.at(task);
  const storage::SstFile file =
      SstFromResult(result, cluster::ShardOutputPath(assignment_, fence.value(), shard));
  FaultPoint("coordinator ingest " + std::string(missing_.name(task)));
  const absl::Status ingested = builder_->Ingest(file, shard, fence.value()).status();
  return absl::IsAlreadyExists(ingested) ? absl::OkStatus() : ingested;
}

absl::StatusOr<StageOutcome> CacheStage::Publish(const std::string& dir) {
  RETURN_IF_ERROR(env_.RemoveTree(dir));
  RETURN_IF_ERROR(env_.CreateDirs(dir));
  auto made = builder_->Publish(storage::GenerationPath(dir), static_cast<uint32_t>(shards_));
  RETURN_IF_ERROR(Advise(made.status()));
  const storage::CacheBuilder::Published published = *std::move(made);
  RETURN_IF_ERROR(env_.SyncDir(dir));
  StageOutcome outcome;
  outcome.made_dir = dir;
  outcome.content_digest = published.content_digest;
  outcome.bytes = published.bytes;
  for (const auto& [name, count] : published.counts) outcome.facts[name] = count;
  outcome.facts["shards"] = shards_;
  return outcome;
}

absl::StatusOr<ShardTasks> PlanTokenShards(const jobs::DataSpec& data,
                                           const std::vector<std::string>& source_digests) {
  ASSIGN_OR_RETURN(pipeline::ShardPlan plan, pipeline::PlanShards(data, source_digests));
  const size_t count = plan.shards.size();
  return ShardTasks{count, [shards = std::move(plan.shards)](uint32_t i) -> nlohmann::json {
                      const pipeline::SourceShard& shard = shards.at(i);
                      return {{"shard",
                               {{"shard", shard.shard},
                                {"path", shard.path},
                                {"begin", shard.begin},
                                {"end", shard.end},
                                {"xxh3", shard.xxh3}}}};
                    }};
}

absl::StatusOr<ShardTasks> PlanLatentShards(Env& env, const cluster::StageAssignment& assignment) {
  ASSIGN_OR_RETURN(auto artifact,
                   storage::ArtifactReader::Open(env, assignment.input_paths.at("tokens"),
                                                 assignment.input_digests.at("tokens")));
  ASSIGN_OR_RETURN(const auto tokens, artifact.OpenCache());
  return ShardTasks{tokens->shards().size(), [](uint32_t shard) -> nlohmann::json {
                      return {{"shard", shard}};
                    }};
}

}  // namespace halcyon::coordinator
