#include "coordinator/stages/cache_stage.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/fault_point.h"
#include "cluster/outputs.h"
#include "coordinator/stages/start_over.h"
#include "pipeline/sources/shard_plan.h"
#include "storage/artifact_reader.h"

namespace halcyon::coordinator {
namespace {

// Says what to do about a damaged cache.
absl::Status Advise(const absl::Status& status) {
  if (!absl::IsDataLoss(status)) return status;
  return DataLoss("its unfinished cache is damaged: " + MessageOf(status) +
                  "; to make the stage anew run the same command with --from-scratch");
}

// Earlier versions took shards into a RocksDB.
absl::Status SetAsideOlderForm(Env& env, const cluster::StageAssignment& assignment, Notes* notes) {
  if (!env.Exists(JoinPath(cluster::BuildingDir(assignment), "CURRENT"))) return absl::OkStatus();
  notes->push_back("the unfinished cache in " + cluster::BuildingDir(assignment) +
                   " is of an earlier version, in another form; its shards are made again");
  return StartOver(env, assignment.work_dir, notes);
}

// A worker's report of the SST file that its lease made.
absl::StatusOr<storage::SstFile> SstFromResult(const nlohmann::json& result, std::string path) {
  try {
    const nlohmann::json& sst = result.at("sst");
    return storage::SstFile{std::move(path), sst.at("file_checksum").get<std::string>(),
                            sst.at("bytes").get<uint64_t>()};
  } catch (const nlohmann::json::exception& error) {
    return Internal(std::string("a shard's result: ") + error.what());
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<CacheStage>> CacheStage::Open(
    Env& env, const std::string& label, const cluster::StageAssignment& assignment,
    const ShardTasks& shards, const std::vector<Fence>& leases,
    std::function<absl::Status()> check_claim, Notes* notes) {
  auto stage = std::unique_ptr<CacheStage>(new CacheStage(env, assignment));
  Notes found;
  RETURN_IF_ERROR(SetAsideOlderForm(env, assignment, &found));
  auto builder = storage::CacheBuilder::Open(
      env, cluster::BuildingDir(assignment), assignment.fingerprint,
      {.claim = assignment.claim, .check = std::move(check_claim)}, &found);
  for (const std::string& note : found) notes->push_back(label + ": " + note);
  RETURN_IF_ERROR(Advise(builder.status()));
  stage->builder_ = *std::move(builder);
  RETURN_IF_ERROR(stage->builder_->RemoveLeftovers([&](const std::string& name) {
    return std::any_of(leases.begin(), leases.end(),
                       [&](Fence fence) { return cluster::IsOutputOfLease(name, fence.value()); });
  }));
  const std::set<uint32_t> committed = stage->builder_->Committed();
  stage->shards_ = shards.count;
  stage->facts_ = shards.facts;
  for (uint32_t shard = 0; shard < shards.count; ++shard) {
    if (committed.contains(shard)) continue;
    stage->missing_.Add(label + "/" + std::to_string(shard), shards.parameters(shard));
    stage->shard_of_.push_back(shard);
  }
  return stage;
}

std::vector<absl::Status> CacheStage::Ingest(const std::vector<const effect::Ingest*>& results) {
  std::vector<absl::Status> answers(results.size());
  std::vector<storage::ShardResult> fit;
  std::vector<size_t> places;
  for (size_t i = 0; i < results.size(); ++i) {
    const effect::Ingest& one = *results[i];
    const uint32_t shard = shard_of_.at(one.task);
    const uint64_t fence = one.fence.value();
    FaultPoint("coordinator ingest " + std::string(missing_.name(one.task)));
    auto file = SstFromResult(one.result, cluster::ShardOutputPath(assignment_, fence, shard));
    answers[i] = file.status();
    if (!file.ok()) continue;
    fit.push_back({*std::move(file), shard, fence});
    places.push_back(i);
  }
  const auto ingested = builder_->Ingest(fit);
  for (size_t i = 0; i < ingested.size(); ++i) {
    if (!absl::IsAlreadyExists(ingested[i].status())) answers[places[i]] = ingested[i].status();
  }
  return answers;
}

void CacheStage::MergeSome() {
  if (merges_fail_) return;
  const absl::StatusOr<bool> merged = builder_->MergeSome();
  merges_fail_ = !merged.ok();
  if (merges_fail_) spdlog::warn("merging waits for the end: {}", MessageOf(merged.status()));
}

absl::StatusOr<StageOutcome> CacheStage::Publish(const std::string& dir) {
  RETURN_IF_ERROR(env_.RemoveTree(dir));
  RETURN_IF_ERROR(env_.CreateDirs(dir));
  auto made = builder_->Publish(storage::GenerationPath(dir), static_cast<uint32_t>(shards_));
  RETURN_IF_ERROR(made.status());
  const storage::CacheBuilder::Published published = *std::move(made);
  RETURN_IF_ERROR(env_.SyncDir(dir));
  StageOutcome outcome;
  outcome.made_dir = dir;
  outcome.content_digest = published.content_digest;
  outcome.bytes = published.bytes;
  outcome.facts = facts_;
  for (const auto& [name, count] : published.counts) outcome.facts[name] = count;
  outcome.facts["shards"] = shards_;
  return outcome;
}

absl::StatusOr<ShardTasks> PlanTokenShards(const jobs::DataSpec& data,
                                           const std::vector<std::string>& source_digests,
                                           pipeline::SourcePlans& plans) {
  ASSIGN_OR_RETURN(pipeline::ShardPlan plan, plans.PlanShards(data, source_digests));
  const size_t count = plan.shards.size();
  nlohmann::json facts = nlohmann::json::object();
  plan.files.AddTo(&facts);
  if (const size_t heldout = data.heldout_sources.size(); heldout > 0) {
    const size_t first = plan.source_digests.size() - heldout;
    facts[pipeline::kHeldoutShards] = count - plan.files.FirstFrom(first);
  }
  return ShardTasks{count,
                    [shards = std::move(plan.shards)](uint32_t i) -> nlohmann::json {
                      nlohmann::json ranges = nlohmann::json::array();
                      for (const pipeline::SourceRange& range : shards.at(i)) {
                        ranges.push_back({range.path, range.begin, range.end, range.xxh3});
                      }
                      return {{"shard", i}, {"ranges", std::move(ranges)}};
                    },
                    std::move(facts)};
}

absl::StatusOr<ShardTasks> PlanLatentShards(Env& env, const cluster::StageAssignment& assignment) {
  ASSIGN_OR_RETURN(auto artifact,
                   storage::ArtifactReader::Open(env, assignment.input_paths.at("tokens"),
                                                 assignment.input_digests.at("tokens")));
  ASSIGN_OR_RETURN(const auto tokens, artifact.OpenCache());
  return ShardTasks{tokens->shards(), [](uint32_t shard) -> nlohmann::json {
                      return {{"shard", shard}};
                    }};
}

}  // namespace halcyon::coordinator
