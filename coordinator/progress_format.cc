#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "coordinator/progress_view.h"

namespace halcyon::coordinator {
namespace {

constexpr int kBarWidth = 20;
constexpr double kFractionForPace = 1e-4;
constexpr int64_t kMsForPace = 1000;
constexpr size_t kSampleShownMax = 160;

std::optional<double> Figure(const nlohmann::json& figures, const char* name) {
  if (!figures.is_object()) return std::nullopt;
  const auto it = figures.find(name);
  if (it == figures.end() || !it->is_number()) return std::nullopt;
  return it->get<double>();
}

// Cuts to `width` columns, not within a UTF-8 character; what a terminal would obey becomes a
// space.
std::string Fit(std::string_view text, size_t width) {
  std::string line;
  size_t columns = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool continues = (byte & 0xC0) == 0x80;
    if (!continues && columns++ == width) break;
    line += byte < 0x20 || byte == 0x7F ? ' ' : c;
  }
  return line;
}

std::string FormatEvaluation(const nlohmann::json& eval) {
  std::string text;
  if (const auto loss = Figure(eval, "heldout_loss"))
    text += fmt::format("  held-out {:.4f}", *loss);
  const auto brier = Figure(eval, "brier_lm"), low = Figure(eval, "low"),
             high = Figure(eval, "high");
  if (brier && low && high) {
    text += fmt::format("  BrierLM {:.2f} ({:.2f} to {:.2f})", *brier, *low, *high);
  }
  return text;
}

// The first sample of the last evaluation, on one line; "" when there is none.
std::string FormatSample(const nlohmann::json& eval) {
  if (!eval.is_object() || !eval.contains("samples") || !eval["samples"].is_array()) return "";
  if (eval["samples"].empty()) return "";
  const nlohmann::json& sample = eval["samples"][0];
  if (sample.is_string()) return sample.get<std::string>();
  if (!sample.is_object()) return "";
  return sample.value("prompt", "") + " | " + sample.value("text", "");
}

bool IsEnded(jobs::JobState state) {
  return state == jobs::JobState::kPreempted || state == jobs::JobState::kFailed;
}

// A stage that a job was in when it was stopped: it goes on from here.
std::string FormatStoppedLine(const StageStatus& stage, int width) {
  return Fit(fmt::format("  {:<12}stopped at {:.0f} %{}", jobs::StageName(stage.kind),
                         std::floor(100 * stage.fraction), FormatDetails(stage, stage.started_ms)),
             width);
}

}  // namespace

std::string FormatDuration(int64_t duration_ms) {
  const int64_t seconds = std::max<int64_t>(0, (duration_ms + 500) / 1000);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m {:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h {:02}m", seconds / 3600, seconds % 3600 / 60);
}

std::string FormatCount(double count) {
  for (const auto& [unit, suffix] : {std::pair{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}) {
    if (std::abs(count) < unit) continue;
    const double scaled = count / unit;
    return fmt::format("{:.{}f}{}", scaled, scaled < 10 ? 2 : scaled < 100 ? 1 : 0, suffix);
  }
  return fmt::format("{:.0f}", count);
}

std::string FormatBar(double fraction, int width) {
  const int filled = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * width);
  return "[" + std::string(filled, '#') + std::string(width - filled, '-') + "]";
}

std::optional<int64_t> TimeLeftMs(const StageStatus& stage, int64_t now_ms) {
  const double made = stage.fraction - stage.start_fraction;
  const int64_t spent_ms = now_ms - stage.started_ms;
  if (stage.state != jobs::StageState::kRunning || made < kFractionForPace ||
      spent_ms < kMsForPace) {
    return std::nullopt;
  }
  return static_cast<int64_t>((1 - stage.fraction) / made * static_cast<double>(spent_ms));
}

std::string FormatDetails(const StageStatus& stage, int64_t now_ms) {
  std::string text;
  if (stage.tasks > 1) text += fmt::format("  shard {}/{}", stage.tasks_done, stage.tasks);
  if (stage.steps > 0) text += fmt::format("  step {}/{}", stage.step, stage.steps);
  if (const auto loss = Figure(stage.figures, "loss")) text += fmt::format("  loss {:.4f}", *loss);
  if (const auto right = Figure(stage.figures, "reconstruction")) {
    text += fmt::format("  reconstruction {:.1f} %", 100 * *right);
  }
  if (const auto rate = Figure(stage.figures, "tokens_per_s")) {
    text += "  " + FormatCount(*rate) + " tokens/s";
  }
  if (const auto left_ms = TimeLeftMs(stage, now_ms)) {
    text += "  " + FormatDuration(*left_ms) + " left";
  }
  return text;
}

std::string FormatStageLine(const StageStatus& stage, int64_t now_ms, int width) {
  std::string line = fmt::format("  {:<12}", jobs::StageName(stage.kind));
  switch (stage.state) {
    case jobs::StageState::kRunning:
      line += fmt::format("{} {:>3.0f} %{}", FormatBar(stage.fraction, kBarWidth),
                          std::floor(100 * stage.fraction), FormatDetails(stage, now_ms));
      break;
    case jobs::StageState::kDone:
      line += "done in " + FormatDuration(stage.ended_ms - stage.started_ms);
      break;
    case jobs::StageState::kFailed:
      line += "failed: " + stage.note;
      break;
    default:
      line += jobs::NameOf(stage.state);
  }
  return Fit(line, width);
}

std::vector<std::string> FormatBlock(const JobStatus& status, int64_t now_ms, int width) {
  std::vector<std::string> lines;
  lines.push_back(Fit(fmt::format("{}  {}  {}", status.job_id, jobs::NameOf(status.state),
                                  FormatDuration(now_ms - status.started_ms)),
                      width));
  for (const StageStatus& stage : status.stages) {
    const bool stopped = stage.state == jobs::StageState::kRunning && IsEnded(status.state);
    lines.push_back(stopped ? FormatStoppedLine(stage, width)
                            : FormatStageLine(stage, now_ms, width));
    if (stage.state != jobs::StageState::kRunning || !stage.figures.is_object()) continue;
    const nlohmann::json eval = stage.figures.value("eval", nlohmann::json());
    if (const std::string text = FormatEvaluation(eval); !text.empty()) {
      lines.push_back(Fit("    last evaluation:" + text, width));
    }
    if (const std::string sample = FormatSample(eval); !sample.empty()) {
      lines.push_back(Fit("    > " + Fit(sample, kSampleShownMax), width));
    }
  }
  return lines;
}

}  // namespace halcyon::coordinator
