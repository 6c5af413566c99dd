#include "worker/commands/eval_command.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "base/standard_output.h"
#include "worker/compute_device.h"
#include "worker/scoring/model_report.h"

namespace halcyon::worker {

absl::Status RunEval(const EvalCommand& command) {
  if (command.windows < 1) return InvalidArgument("--windows: a score needs a window");
  if (command.samples < 2) return InvalidArgument("--samples: BrierLM compares two draws");
  if (!(command.noise_std >= 0 && std::isfinite(command.noise_std))) {
    return InvalidArgument("--noise-std: must be a number from 0 on");
  }
  if (command.protocol != "pairwise" && command.protocol != "two-samples") {
    return InvalidArgument("--protocol: there is no '" + command.protocol +
                           "'; write pairwise or two-samples");
  }
  ASSIGN_OR_RETURN(const ComputeDevice compute, OpenDevice(command.device));
  ReportOptions options;
  options.device = compute.device;
  options.eval.final_windows = command.windows;
  options.eval.samples = command.samples;
  options.eval.continuations = 0;
  options.seed = command.seed;
  options.noise_std = command.noise_std;
  if (command.protocol == "two-samples") options.protocol = model::BrierProtocol::kTwoSamples;
  ASSIGN_OR_RETURN(const nlohmann::json report,
                   MakeReport(*Env::Posix(), command.inputs, options, [](double) {}));
  StandardOutput::OfProcess().Print(command.json ? report.dump() + "\n" : ReportText(report));
  return absl::OkStatus();
}

}  // namespace halcyon::worker
