#include "coordinator/gang_stage.h"

#include <spdlog/spdlog.h>

#include "cluster/outputs.h"
#include "coordinator/gang_run.h"
#include "coordinator/restart_budget.h"
#include "coordinator/start_over.h"
#include "storage/checkpoint.h"

namespace halcyon::coordinator {
namespace {

// Step of the newest committed checkpoint; 0 when there is none.
absl::StatusOr<uint64_t> NewestStep(storage::CheckpointStore& store) {
  ASSIGN_OR_RETURN(const std::vector<uint64_t> steps, store.ListCommitted());
  return steps.empty() ? 0 : steps.back();
}

// Removes unfinished artifacts that killed launches left.
absl::Status RemoveOutputs(Env& env, const std::string& work_dir) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(work_dir));
  for (const std::string& name : names) {
    if (!name.starts_with(cluster::kOutputPrefix)) continue;
    RETURN_IF_ERROR(env.RemoveTree(JoinPath(work_dir, name)));
  }
  return absl::OkStatus();
}

// How a gang that was told to stop left its stage: `end` is what its ranks reported, `newest_step`
// what lies on the disk.
absl::Status StoppedGang(const absl::Status& end, uint64_t newest_step) {
  if (EndsJob(end.code())) return end;  // the step could not be saved
  const std::string step = std::to_string(newest_step);
  if (absl::IsAborted(end))
    return Stopped(newest_step > 0 ? "saved step " + step : "no step was done");
  return Stopped((newest_step > 0 ? "nothing saved since step " + step : "nothing saved") + " (" +
                 MessageOf(end) + ")");
}

}  // namespace

absl::StatusOr<StageOutcome> RunGangStage(const StageTools& tools, ProcessRegistry* registry,
                                          cluster::StageAssignment assignment) {
  const JobContext& context = *tools.context;
  const std::string checkpoints = JoinPath(assignment.work_dir, kCheckpointsFolder);
  RETURN_IF_ERROR(context.env->CreateDirs(checkpoints));
  storage::CheckpointStore store(*context.env, checkpoints);
  ASSIGN_OR_RETURN(uint64_t newest_step, NewestStep(store));
  RestartBudget budget(context.spec.launch.restarts_max);
  for (assignment.launch = 1;; ++assignment.launch) {
    RETURN_IF_ERROR(store.Fence({assignment.incarnation, assignment.launch}));
    RETURN_IF_ERROR(RemoveOutputs(*context.env, assignment.work_dir));
    GangRun run(tools, registry, assignment);
    auto outcome = run.Run();
    if (outcome.ok()) return outcome;
    const absl::Status& status = outcome.status();
    ASSIGN_OR_RETURN(const uint64_t step, NewestStep(store));
    if (run.told_to_stop() || context.stop_requests() > 0) return StoppedGang(status, step);
    if (EndsJob(status.code())) return outcome;
    if (step > newest_step) budget.Progress();
    newest_step = step;
    if (!budget.MayStartAgain(run.end_cause())) {
      return Internal("failed " + std::to_string(budget.failures()) +
                      " times without a checkpoint between, last: " + MessageOf(status));
    }
    context.observer->Notify(assignment.stage +
                             ": launched again, it resumes from its last checkpoint (" +
                             FirstLine(MessageOf(status)) + ")");
  }
}

}  // namespace halcyon::coordinator
