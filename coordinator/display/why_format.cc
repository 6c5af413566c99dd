#include <fmt/chrono.h>
#include <fmt/format.h>

#include "coordinator/display/progress_format.h"
#include "coordinator/display/why.h"

namespace halcyon::coordinator {
namespace {

std::string TimeText(int64_t wall_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(static_cast<std::time_t>(wall_ms / 1000)));
}

}  // namespace

nlohmann::json ToJson(const Why& why, const std::string& job) {
  nlohmann::json ranks = nlohmann::json::array();
  for (const WorkerStatus& worker : why.ranks) {
    ranks.push_back({{"worker", worker.worker},
                     {"rank", worker.rank},
                     {"host", worker.host},
                     {"step", worker.step},
                     {"phase", worker.phase},
                     {"waits_for", worker.waits_for},
                     {"since", TimeText(worker.since_ms)},
                     {"verdict", worker.verdict}});
  }
  return {{"job", job},         {"state", why.state},   {"since", TimeText(why.since_ms)},
          {"cause", why.cause}, {"advice", why.advice}, {"ranks", std::move(ranks)}};
}

std::string WhyText(const Why& why, const std::string& job, int64_t now_ms) {
  std::string text = fmt::format("{}: {} for {}\n  {}\n", job, why.state,
                                 FormatDuration(now_ms - why.since_ms), why.cause);
  if (!why.advice.empty()) text += "  what to do: " + why.advice + "\n";
  if (why.ranks.empty()) return text;
  text += fmt::format("\n  {:<22} {:<16} {:<8} {:>8} {:>8}  {}\n", "WORKER", "HOST", "VERDICT",
                      "STEP", "FOR", "PHASE");
  for (const WorkerStatus& worker : why.ranks) {
    const std::string waits = worker.waits_for.empty() || worker.waits_for == worker.phase
                                  ? ""
                                  : ", waits for " + worker.waits_for;
    text += fmt::format("  {:<22} {:<16} {:<8} {:>8} {:>8}  {}\n", worker.worker, worker.host,
                        worker.verdict, worker.step < 0 ? "" : std::to_string(worker.step),
                        FormatDuration(now_ms - worker.since_ms), worker.phase + waits);
  }
  return text;
}

}  // namespace halcyon::coordinator
