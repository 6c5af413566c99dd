// The data tasks that an agent leases: each a function from a lease to its result. They write only
// under the stage's work folder, so a task that dies or is repeated harms nothing.
#ifndef HALCYON_WORKER_TASKS_TASKS_H_
#define HALCYON_WORKER_TASKS_TASKS_H_

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/status.h"
#include "cluster/messages.h"
#include "jobs/job_spec.h"
#include "storage/page_cache.h"

namespace halcyon::worker {

struct TaskContext {
  const cluster::Lease* lease = nullptr;
  const jobs::JobSpec* spec = nullptr;
  Env* env = nullptr;
  std::function<void(double fraction)> on_progress;
  c10::Device device = c10::kCPU;  // where networks compute
};

// Trains or imports the vocabulary. -> {"content_digest", "bytes", "facts"}
absl::StatusOr<nlohmann::json> RunTokenizerTask(const TaskContext& context);
// Measures the finished model and writes the report. -> {"content_digest", "bytes", "facts"}
absl::StatusOr<nlohmann::json> RunEvalTask(const TaskContext& context);

// Turns one shard of the sources into tokens. Keeps the tokenizer, with the words that it has
// encoded, from task to task: reading a large vocabulary takes longer than encoding a shard.
class TokensTask {
 public:
  TokensTask();
  ~TokensTask();
  absl::StatusOr<nlohmann::json> Run(const TaskContext& context);  // -> {"sst", "facts"}

 private:
  struct Inputs;
  std::unique_ptr<Inputs> inputs_;
};

// Encodes the chunks of one shard. Keeps the autoencoder and the packing from task to task.
class LatentsTask {
 public:
  LatentsTask();
  ~LatentsTask();
  absl::StatusOr<nlohmann::json> Run(const TaskContext& context);  // -> {"sst", "facts"}

 private:
  struct Inputs;
  std::unique_ptr<Inputs> inputs_;
};

// Writes the artifact of a single-file stage into the lease's output folder, synced, and returns
// the task's result.
absl::StatusOr<nlohmann::json> WriteFileArtifact(const TaskContext& context,
                                                 const std::string& name, const std::string& bytes,
                                                 const nlohmann::json& facts);

// Adds a sentence that the coordinator shows at once: {"warnings": [...]}. "" adds nothing.
void AddWarning(const std::string& warning, nlohmann::json* result);

// The SST file that a lease's shard is written to.
std::string ShardPath(const cluster::Lease& lease, uint32_t shard);
nlohmann::json SstResult(const storage::SstFile& sst, const nlohmann::json& facts);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TASKS_TASKS_H_
