#include "coordinator/cache_stage.h"

#include <spdlog/spdlog.h>

#include <map>
#include <memory>

#include "base/fault_point.h"
#include "cluster/outputs.h"
#include "coordinator/start_over.h"
#include "pipeline/shard_plan.h"
#include "storage/artifact_reader.h"
#include "storage/page_cache.h"

namespace halcyon::coordinator {
namespace {

std::string TaskName(const std::string& stage, size_t shard) {
  return stage + "/" + std::to_string(shard);
}

// Removes SST files that an earlier coordinator's agents left: their leases are no longer valid.
// Everything else stays, what was set aside as well; it is removed with the folder at the stage's
// end.
absl::Status RemoveLeftovers(Env& env, const std::string& work_dir) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(work_dir));
  for (const std::string& name : names) {
    if (name.ends_with(".sst") || name.ends_with(".sst.tmp")) {
      RETURN_IF_ERROR(env.RemoveTree(JoinPath(work_dir, name)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<storage::CacheBuilder>> OpenBuilder(
    const cluster::StageAssignment& assignment) {
  const std::string dir = JoinPath(assignment.work_dir, kBuildingFolder);
  auto builder = storage::CacheBuilder::Open(dir, assignment.fingerprint);
  if (!absl::IsDataLoss(builder.status())) return builder;
  return DataLoss("its unfinished cache is damaged: " + MessageOf(builder.status()) +
                  "; to make the stage anew run the same command with --from-scratch");
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

absl::StatusOr<StageOutcome> Publish(const StageTools& tools, storage::CacheBuilder& builder,
                                     const std::string& publish_dir, size_t shards) {
  Env& env = *tools.context->env;
  RETURN_IF_ERROR(env.RemoveTree(publish_dir));
  RETURN_IF_ERROR(env.CreateDirs(publish_dir));
  storage::CacheBuilder::Published published;
  ASSIGN_OR_RETURN(published, builder.Publish(storage::GenerationPath(publish_dir),
                                              static_cast<uint32_t>(shards)));
  RETURN_IF_ERROR(env.SyncDir(publish_dir));
  StageOutcome outcome;
  outcome.made_dir = publish_dir;
  outcome.content_digest = published.content_digest;
  outcome.bytes = published.bytes;
  for (const auto& [name, count] : published.counts) outcome.facts[name] = count;
  outcome.facts["shards"] = shards;
  return outcome;
}

}  // namespace

absl::StatusOr<std::vector<StageTask>> PlanCacheTasks(const StageTools& tools,
                                                      const cluster::StageAssignment& assignment) {
  std::vector<StageTask> tasks;
  if (assignment.stage == jobs::StageName(jobs::StageKind::kTokens)) {
    ASSIGN_OR_RETURN(const pipeline::ShardPlan plan,
                     pipeline::PlanShards(tools.context->spec.data, *tools.source_digests));
    for (const pipeline::SourceShard& shard : plan.shards) {
      const nlohmann::json source = {{"shard", shard.shard},
                                     {"path", shard.path},
                                     {"begin", shard.begin},
                                     {"end", shard.end},
                                     {"xxh3", shard.xxh3}};
      tasks.push_back({TaskName(assignment.stage, shard.shard), {{"shard", source}}});
    }
    return tasks;
  }
  ASSIGN_OR_RETURN(auto artifact, storage::ArtifactReader::Open(
                                      *tools.context->env, assignment.input_paths.at("tokens"),
                                      assignment.input_digests.at("tokens")));
  ASSIGN_OR_RETURN(const auto tokens, artifact.OpenCache());
  for (size_t shard = 0; shard < tokens->shards().size(); ++shard) {
    tasks.push_back({TaskName(assignment.stage, shard), {{"shard", shard}}});
  }
  return tasks;
}

absl::StatusOr<StageOutcome> RunCacheStage(const StageTools& tools,
                                           const cluster::StageAssignment& assignment,
                                           const std::string& publish_dir) {
  RETURN_IF_ERROR(RemoveLeftovers(*tools.context->env, assignment.work_dir));
  ASSIGN_OR_RETURN(const std::vector<StageTask> planned, PlanCacheTasks(tools, assignment));
  ASSIGN_OR_RETURN(const auto builder, OpenBuilder(assignment));
  ASSIGN_OR_RETURN(const auto committed, builder->Committed());
  std::vector<StageTask> missing;
  std::map<std::string, uint32_t> shard_of;
  for (size_t shard = 0; shard < planned.size(); ++shard) {
    if (committed.contains(static_cast<uint32_t>(shard))) continue;
    missing.push_back(planned[shard]);
    shard_of[planned[shard].name] = static_cast<uint32_t>(shard);
  }
  const auto ingest = [&](const std::string& task, Fence fence,
                          const nlohmann::json& result) -> absl::Status {
    const uint32_t shard = shard_of.at(task);
    const storage::SstFile file =
        SstFromResult(result, cluster::ShardOutputPath(assignment, fence.value(), shard));
    FaultPoint("coordinator ingest " + task);
    const absl::Status ingested = builder->Ingest(file, shard, fence.value()).status();
    return absl::IsAlreadyExists(ingested) ? absl::OkStatus() : ingested;
  };
  RETURN_IF_ERROR(RunTasks(tools, assignment, missing, planned.size() - missing.size(), ingest));
  return Publish(tools, *builder, publish_dir, planned.size());
}

}  // namespace halcyon::coordinator
