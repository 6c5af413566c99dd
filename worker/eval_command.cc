#include "worker/eval_command.h"

#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "worker/model_report.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

void Print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace

absl::Status RunEval(const EvalCommand& command) {
  ReportOptions options;
  options.eval.final_windows = command.windows;
  options.eval.samples = command.samples;
  options.eval.continuations = 0;
  options.seed = command.seed;
  ASSIGN_OR_RETURN(const json report,
                   MakeReport(*Env::Posix(), command.paths, options, [](double) {}));
  if (command.json) {
    Print(report.dump() + "\n");
    return absl::OkStatus();
  }
  Print(fmt::format(
      "BrierLM {:.3f} (95 % interval {:.3f} to {:.3f}; {} windows of {} tokens, {} documents)\n"
      "held-out loss {:.4f}\n"
      "token reconstruction {:.3f} % of {} held-out tokens\n",
      report["brier_lm"].get<double>(), report["brier_low"].get<double>(),
      report["brier_high"].get<double>(), report["windows"].get<uint64_t>(),
      report["token_context"].get<uint64_t>(), report["documents"].get<uint64_t>(),
      report["heldout_loss"].get<double>(), 100 * report["reconstruction"].get<double>(),
      report["reconstruction_tokens"].get<uint64_t>()));
  for (int n = 0; n < 4; ++n) {
    Print(fmt::format("{}-grams: Brier {:.4f}, accuracy {:.4f}, collision {:.4f}\n", n + 1,
                      report["brier"][n].get<double>(), report["accuracy"][n].get<double>(),
                      report["collision"][n].get<double>()));
  }
  return absl::OkStatus();
}

}  // namespace halcyon::worker
