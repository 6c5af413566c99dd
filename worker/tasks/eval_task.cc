#include "worker/scoring/model_report.h"
#include "worker/tasks/tasks.h"

namespace halcyon::worker {

using nlohmann::json;

absl::StatusOr<json> RunEvalTask(const TaskContext& context) {
  ReportOptions options;
  options.eval = context.spec->eval;
  options.seed = context.spec->seed;
  options.data = &context.spec->data;
  options.must_score = false;
  options.device = context.device;
  ASSIGN_OR_RETURN(const json report,
                   MakeReport(*context.env, ArtifactInputs::Of(context.lease->assignment), options,
                              context.on_progress));
  return WriteFileArtifact(context, "report.json", report.dump(2) + "\n", report);
}

}  // namespace halcyon::worker
