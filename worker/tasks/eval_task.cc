#include "base/digest.h"
#include "worker/model_report.h"
#include "worker/tasks/tasks.h"

namespace halcyon::worker {

using nlohmann::json;

absl::StatusOr<json> RunEvalTask(const TaskContext& context) {
  const cluster::StageAssignment& assignment = context.lease->assignment;
  ReportOptions options;
  options.eval = context.spec->eval;
  options.seed = context.spec->seed;
  ASSIGN_OR_RETURN(const json report,
                   MakeReport(*context.env, assignment.input_paths, options, context.on_progress));
  const std::string out = JoinPath(assignment.work_dir, "out");
  RETURN_IF_ERROR(context.env->RemoveTree(out));
  RETURN_IF_ERROR(context.env->CreateDirs(out));
  const std::string bytes = report.dump(2) + "\n";
  RETURN_IF_ERROR(WriteFileAtomically(*context.env, JoinPath(out, "report.json"), bytes));
  return json{{"path", out},
              {"content_digest", Sha256::Of(bytes)},
              {"bytes", bytes.size()},
              {"facts", report}};
}

}  // namespace halcyon::worker
