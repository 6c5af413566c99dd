// Runs a stage of leased tasks: hands them to agents, takes results and failures.
#ifndef HALCYON_COORDINATOR_TASK_STAGE_H_
#define HALCYON_COORDINATOR_TASK_STAGE_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "coordinator/agent_pool.h"
#include "coordinator/job_context.h"
#include "coordinator/scheduler.h"
#include "coordinator/status_board.h"
#include "coordinator/worker_channel.h"

namespace halcyon::coordinator {

// Fencing tokens from the journal, reserved in blocks so that a lease costs no synced write.
class FenceSource {
 public:
  explicit FenceSource(storage::Journal* journal) : journal_(journal) {}
  absl::StatusOr<Fence> Next();

 private:
  storage::Journal* journal_;
  uint64_t next_ = 0, end_ = 0;
};

struct StageTask {
  std::string name;  // "tokens/3"
  nlohmann::json parameters;
};

// What a whole job uses to run stages. Borrowed.
struct StageTools {
  const JobContext* context;
  WorkerChannel* channel;
  Scheduler* scheduler;
  AgentPool* agents;
  FenceSource* fences;
  StatusBoard* status;
  // SHA-256 of each source as it entered the fingerprints, in order, and of [tokenizer] path.
  const std::vector<std::string>* source_digests;
  const std::string* tokenizer_file_digest;
};

// Commits the result of a task under its present lease (ingests its SST file, ...). A failure gives
// the task back, or ends the job when EndsJob(code).
using TakeResult =
    std::function<absl::Status(const std::string& task, Fence fence, const nlohmann::json& result)>;

// Returns OK when every task is done and taken; kAborted when told to stop, saying how many tasks
// are kept. `done_before`: tasks of the stage that an earlier run has done.
absl::Status RunTasks(const StageTools& tools, const cluster::StageAssignment& assignment,
                      const std::vector<StageTask>& tasks, size_t done_before,
                      const TakeResult& take_result);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_TASK_STAGE_H_
