// The files of a stage that fills a cache shard by shard: tokens and latents.
#ifndef HALCYON_COORDINATOR_STAGES_CACHE_STAGE_H_
#define HALCYON_COORDINATOR_STAGES_CACHE_STAGE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "cluster/messages.h"
#include "coordinator/notes.h"
#include "coordinator/run/events.h"
#include "coordinator/stages/stage_outcome.h"
#include "pipeline/sources/source_plans.h"
#include "storage/page_cache.h"

namespace halcyon::coordinator {

// The shards of a stage: how many, and the parameters of each one's task.
struct ShardTasks {
  size_t count = 0;
  std::function<nlohmann::json(uint32_t shard)> parameters;
  nlohmann::json facts = nlohmann::json::object();  // of the artifact, besides the counts of shards
};

// Not thread-safe. Every call reads or writes files.
class CacheStage {
 public:
  // Opens the unfinished cache of `assignment`, and removes what agents of an earlier coordinator
  // left in it, but for those that still serve one of `leases`. `shards`: the plan of all its
  // shards; `check_claim`: whether the stage's claim is still held; `notes`: what of the cache is
  // lost. kDataLoss: the cache is damaged.
  static absl::StatusOr<std::unique_ptr<CacheStage>> Open(
      Env& env, const std::string& label, const cluster::StageAssignment& assignment,
      const ShardTasks& shards, const std::vector<Fence>& leases,
      std::function<absl::Status()> check_claim, Notes* notes);

  // The tasks that are not committed, in shard order, and the number of those that are.
  const StageTasks& missing() const { return missing_; }
  size_t committed() const { return shards_ - missing_.size(); }

  // Commits the SST files that the holders of leases made for missing tasks, those that can be
  // together. One answer for each.
  std::vector<absl::Status> Ingest(const std::vector<const effect::Ingest*>& results);
  // Merges files of the cache, when there are enough to be worth it, so that less is left for
  // Publish. An error is left to Publish, too, which meets it again.
  void MergeSome();
  // When all are committed: publishes the cache into `dir` + "/generation".
  absl::StatusOr<StageOutcome> Publish(const std::string& dir);

 private:
  CacheStage(Env& env, cluster::StageAssignment assignment)
      : env_(env), assignment_(std::move(assignment)) {}

  Env& env_;
  cluster::StageAssignment assignment_;
  std::unique_ptr<storage::CacheBuilder> builder_;
  size_t shards_ = 0;
  nlohmann::json facts_;
  StageTasks missing_;
  std::vector<uint32_t> shard_of_;  // of each missing task
  bool merges_fail_ = false;
};

// For tokens: reads the sources whose plans are not remembered.
// kInvalidArgument: no source has any document; kFailedPrecondition: a source's bytes are not those
// of the fingerprint (`source_digests`).
absl::StatusOr<ShardTasks> PlanTokenShards(const jobs::DataSpec& data,
                                           const std::vector<std::string>& source_digests,
                                           pipeline::SourcePlans& plans);
// For latents: a shard for each shard of the tokens.
absl::StatusOr<ShardTasks> PlanLatentShards(Env& env, const cluster::StageAssignment& assignment);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_STAGES_CACHE_STAGE_H_
