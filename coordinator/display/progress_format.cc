#include "coordinator/display/progress_format.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>

#include "coordinator/display/progress_line.h"

namespace halcyon::coordinator {
namespace {

constexpr int kBarWidth = 20;
constexpr size_t kSampleShownMax = 160;
constexpr size_t kAnyWidth = std::numeric_limits<size_t>::max();
constexpr int64_t kTimeLeftMsMax = int64_t{1000} * 86'400 * 9'999;  // longer times are not shown

// What is left out first when a line is short.
enum Rank : int { kBar, kTokensRank, kReconstruction, kCountRank, kPercent, kName };

std::optional<double> Figure(const nlohmann::json& figures, const char* name) {
  if (!figures.is_object()) return std::nullopt;
  const auto it = figures.find(name);
  if (it == figures.end() || !it->is_number()) return std::nullopt;
  return it->get<double>();
}

std::string PercentText(const StageStatus& stage) {
  return fmt::format("{:>3.0f} %", std::floor(100 * stage.fraction));
}

// "2h13m" for "2h 13m": the same in fewer columns.
std::string NarrowDuration(int64_t duration_ms) {
  std::string text = FormatDuration(duration_ms);
  std::erase(text, ' ');
  return text;
}

// "12.3", "1234".
std::string ShortNumber(double number) {
  return number < 100 ? fmt::format("{:.3g}", number) : fmt::format("{:.0f}", number);
}

double StepsPerSecond(const StageStatus& stage) {
  return stage.pace * static_cast<double>(stage.steps);
}

std::string NarrowStepTime(const StageStatus& stage) {
  const double steps_per_s = StepsPerSecond(stage);
  if (steps_per_s >= 1) return ShortNumber(steps_per_s) + "/s";
  const double seconds = 1 / steps_per_s;
  return seconds < 100 ? ShortNumber(seconds) + "s"
                       : NarrowDuration(static_cast<int64_t>(1000 * seconds));
}

// Everything of a stage but its name and its state.
std::vector<LinePart> DetailParts(const StageStatus& stage) {
  std::vector<LinePart> parts;
  if (stage.tasks > 1) {
    parts.push_back({fmt::format("shard {}/{}", stage.tasks_done, stage.tasks), kCountRank});
  }
  if (stage.steps > 0) {
    parts.push_back({fmt::format("step {}/{}", stage.step, stage.steps), kCountRank});
  }
  if (const std::string time = FormatStepTime(stage); !time.empty()) {
    parts.push_back({time, kAlwaysShown, NarrowStepTime(stage)});
  }
  if (const auto loss = Figure(stage.figures, "loss")) {
    parts.push_back(
        {fmt::format("loss {:.4f}", *loss), kAlwaysShown, fmt::format("{:.3g}", *loss)});
  }
  if (const auto right = Figure(stage.figures, "reconstruction")) {
    parts.push_back({fmt::format("reconstruction {:.1f} %", 100 * *right), kReconstruction});
  }
  if (const auto rate = Figure(stage.figures, "tokens_per_s")) {
    parts.push_back({FormatCount(*rate) + " tokens/s", kTokensRank});
  }
  if (const auto left_ms = TimeLeftMs(stage)) {
    parts.push_back({FormatDuration(*left_ms) + " left", kAlwaysShown, NarrowDuration(*left_ms)});
  }
  return parts;
}

std::vector<LinePart> RunningParts(const StageStatus& stage, std::string name) {
  std::vector<LinePart> parts = DetailParts(stage);
  parts.insert(parts.begin(), {{std::move(name), kName}, {PercentText(stage), kPercent}});
  return parts;
}

std::string PaddedName(const StageStatus& stage) { return fmt::format("  {:<11} ", stage.label); }

// A line of the block; where there are too many, those of the least importance go first.
enum Importance : int { kSampleLine, kEvaluationLine, kOtherStageLine, kJobLine, kRunningLine };
struct BlockLine {
  std::string text;
  Importance importance;
};

// A stage that was begun and is not running: how far it is, without a time left.
std::string FormatInterruptedLine(StageStatus stage, size_t width) {
  stage.pace = 0;
  std::vector<LinePart> parts = DetailParts(stage);
  parts.insert(parts.begin(), {PaddedName(stage) + "interrupted at " +
                                   fmt::format("{:.0f} %", std::floor(100 * stage.fraction)),
                               kName});
  return JoinToWidth(std::move(parts), width);
}

// The first sample of the last evaluation, on one line; "" when there is none.
std::string FormatSample(const StageStatus& stage) {
  if (!stage.figures.is_object()) return "";
  const nlohmann::json eval = stage.figures.value("eval", nlohmann::json());
  if (!eval.is_object() || !eval.contains("samples") || !eval["samples"].is_array()) return "";
  if (eval["samples"].empty()) return "";
  const nlohmann::json& sample = eval["samples"][0];
  if (sample.is_string()) return sample.get<std::string>();
  if (!sample.is_object()) return "";
  return sample.value("prompt", "") + " | " + sample.value("text", "");
}

std::string FormatJobLine(const JobStatus& status, int64_t now_ms, size_t width) {
  const std::string state = fmt::format("  {}  {}", jobs::NameOf(status.state),
                                        FormatDuration(now_ms - status.started_ms));
  const size_t room = width > state.size() ? width - state.size() : 0;
  return CutToWidth(CutToWidth(status.job_id, room) + state, width);
}

}  // namespace

std::string FormatDuration(int64_t duration_ms) {
  const int64_t seconds = std::max<int64_t>(0, (duration_ms + 500) / 1000);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m {:02}s", seconds / 60, seconds % 60);
  if (seconds < 48 * 3600) return fmt::format("{}h {:02}m", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{}d {:02}h", seconds / 86400, seconds % 86400 / 3600);
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

std::optional<int64_t> TimeLeftMs(const StageStatus& stage) {
  if (stage.state != jobs::StageState::kRunning || !(stage.pace > 0)) return std::nullopt;
  const double left_ms = 1000 * std::max(0.0, 1 - stage.fraction) / stage.pace;
  if (!(left_ms < static_cast<double>(kTimeLeftMsMax))) return std::nullopt;
  return static_cast<int64_t>(left_ms);
}

std::string FormatStepTime(const StageStatus& stage) {
  const double steps_per_s = StepsPerSecond(stage);
  if (stage.state != jobs::StageState::kRunning || !(steps_per_s > 0)) return "";
  if (steps_per_s >= 1) return ShortNumber(steps_per_s) + " steps/s";
  const double seconds = 1 / steps_per_s;
  return seconds < 100 ? ShortNumber(seconds) + " s/step"
                       : FormatDuration(static_cast<int64_t>(1000 * seconds)) + "/step";
}

std::string FormatRunning(const StageStatus& stage) {
  return JoinToWidth(RunningParts(stage, PaddedName(stage)), kAnyWidth);
}

std::string FormatEvaluation(const StageStatus& stage) {
  if (!stage.figures.is_object()) return "";
  const nlohmann::json eval = stage.figures.value("eval", nlohmann::json());
  std::string text;
  if (const auto loss = Figure(eval, "heldout_loss")) {
    text += fmt::format("  held-out {:.4f}", *loss);
  }
  const auto brier = Figure(eval, "brier_lm"), low = Figure(eval, "low"),
             high = Figure(eval, "high");
  if (brier && low && high) {
    text += fmt::format("  BrierLM {:.2f} ({:.2f} to {:.2f})", *brier, *low, *high);
  }
  return text;
}

std::string FormatStageLine(const StageStatus& stage, int width) {
  const auto columns = static_cast<size_t>(std::max(0, width));
  if (stage.state == jobs::StageState::kRunning) {
    std::vector<LinePart> parts = RunningParts(stage, PaddedName(stage));
    parts.insert(parts.begin() + 1, {FormatBar(stage.fraction, kBarWidth) + " ", kBar});
    return JoinToWidth(std::move(parts), columns);
  }
  if (stage.state == jobs::StageState::kInterrupted) return FormatInterruptedLine(stage, columns);
  std::string line = PaddedName(stage);
  if (stage.state == jobs::StageState::kDone) {
    line += "done in " + FormatDuration(stage.ended_ms - stage.started_ms);
  } else if (stage.state == jobs::StageState::kFailed) {
    line += "failed: " + stage.note;
  } else {
    line += jobs::NameOf(stage.state);
    // Another job makes it.
    if (stage.state == jobs::StageState::kWaiting && !stage.note.empty()) line += ", " + stage.note;
  }
  return CutToWidth(line, columns);
}

std::vector<std::string> FormatBlock(const JobStatus& status, int64_t now_ms, int width,
                                     size_t lines_max) {
  const auto columns = static_cast<size_t>(std::max(0, width));
  std::vector<BlockLine> lines = {{FormatJobLine(status, now_ms, columns), kJobLine}};
  for (const StageStatus& stage : status.stages) {
    const bool begun =
        stage.state == jobs::StageState::kRunning || stage.state == jobs::StageState::kInterrupted;
    if (!begun) {
      lines.push_back({FormatStageLine(stage, width), kOtherStageLine});
      continue;
    }
    lines.push_back({FormatStageLine(stage, width), kRunningLine});
    if (const std::string text = FormatEvaluation(stage); !text.empty()) {
      lines.push_back({CutToWidth("    last evaluation:" + text, columns), kEvaluationLine});
    }
    if (const std::string sample = FormatSample(stage); !sample.empty()) {
      lines.push_back(
          {CutToWidth("    > " + CutToWidth(sample, kSampleShownMax), columns), kSampleLine});
    }
  }
  while (lines.size() > std::max<size_t>(1, lines_max)) {
    lines.erase(std::min_element(
        lines.begin(), lines.end(),
        [](const BlockLine& a, const BlockLine& b) { return a.importance < b.importance; }));
  }
  std::vector<std::string> texts;
  for (BlockLine& line : lines) texts.push_back(std::move(line.text));
  return texts;
}

std::vector<std::string> FormatGraph(const JobStatus& status, int width) {
  std::vector<std::string> lines;
  for (const StageStatus& stage : status.stages) {
    if (stage.inputs.empty()) continue;
    lines.push_back(
        CutToWidth(fmt::format("{}from {}", PaddedName(stage), fmt::join(stage.inputs, ", ")),
                   static_cast<size_t>(std::max(0, width))));
  }
  return lines;
}

std::string FormatSummaryLine(const JobStatus& status, int64_t now_ms) {
  std::string line = fmt::format(
      "{:%Y-%m-%d %H:%M} UTC  {}  after {}:", fmt::gmtime(static_cast<std::time_t>(now_ms / 1000)),
      status.job_id, FormatDuration(now_ms - status.started_ms));
  for (const StageStatus& stage : status.stages) {
    if (stage.state != jobs::StageState::kRunning) continue;
    line += " " + JoinToWidth(RunningParts(stage, stage.label), kAnyWidth);
    if (const std::string text = FormatEvaluation(stage); !text.empty()) {
      line += "  last evaluation:" + text;
    }
  }
  return CutToWidth(line, kAnyWidth);
}

}  // namespace halcyon::coordinator
