#include "coordinator/display/progress_view.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/terminal_text.h"
#include "coordinator/display/progress_line.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kDrawIntervalMs = 200;
constexpr int64_t kPlainIntervalMsFirst = 5'000, kPlainIntervalMsMax = 60'000;
constexpr int64_t kSummaryIntervalMs = 3'600'000;
constexpr int kPlainWidth = 240;
constexpr char kEndLine[] = "\x1b[K\n";  // clears the rest of the line
constexpr char kClearBelow[] = "\x1b[J";
constexpr int kDefaultColumns = 80, kDefaultRows = 24;

void Print(std::FILE* out, std::string_view text) { std::fwrite(text.data(), 1, text.size(), out); }

}  // namespace

void PlainSchedule::Start(int64_t now_ms) {
  interval_ms_ = kPlainIntervalMsFirst;
  next_ms_ = now_ms + interval_ms_;
}

bool PlainSchedule::Due(int64_t now_ms) {
  if (now_ms < next_ms_) return false;
  interval_ms_ = std::min(2 * interval_ms_, kPlainIntervalMsMax);
  Postpone(now_ms);
  return true;
}

ProgressView::ProgressView(Clock* clock, std::FILE* out, std::function<TerminalSize()> size)
    : clock_(clock), out_(out), size_(std::move(size)), terminal_(size_().columns > 0) {}

ProgressView::~ProgressView() { Finish(); }

void ProgressView::Changed(const JobStatus& status) {
  last_ = status;
  const int64_t now_ms = clock_->MonotonicMs();
  if (!terminal_) {
    PrintPlain(status);
  } else if (!drawn_ms_ || now_ms - *drawn_ms_ >= kDrawIntervalMs) {
    Draw(status);
    drawn_ms_ = now_ms;
  }
}

void ProgressView::PrintPlain(const JobStatus& status) {
  const int64_t now_ms = clock_->MonotonicMs();
  if (!summary_ms_) summary_ms_ = now_ms + kSummaryIntervalMs;
  std::vector<const StageStatus*> running;
  for (const StageStatus& stage : status.stages) {
    const bool runs = stage.state == jobs::StageState::kRunning;
    if (runs) running.push_back(&stage);
    if (jobs::StageState& known = states_[stage.label]; known != stage.state) {
      known = stage.state;
      // Why the stage is made was printed before.
      if (runs) schedule_.Start(now_ms);
      if (!runs) Print(out_, FormatStageLine(stage, kPlainWidth) + "\n");
    }
    if (const std::string text = FormatEvaluation(stage);
        runs && !text.empty() && evaluations_[stage.label] != text) {
      evaluations_[stage.label] = text;
      Print(out_, FormatRunning(stage) + "\n    evaluation:" + text + "\n");
    }
  }
  if (!running.empty() && now_ms >= *summary_ms_) {
    summary_ms_ = now_ms + kSummaryIntervalMs;
    schedule_.Postpone(now_ms);
    Print(out_, FormatSummaryLine(status, clock_->WallMs()) + "\n");
  }
  if (!running.empty() && schedule_.Due(now_ms)) {
    for (const StageStatus* stage : running) Print(out_, FormatRunning(*stage) + "\n");
  }
  std::fflush(out_);
}

void ProgressView::Notify(std::string_view line) {
  if (!terminal_) {
    Print(out_, std::string(line) + "\n");
  } else if (drawn_ms_) {
    Draw(last_, EscapeForTerminal(line) + kEndLine);
  } else {
    Print(out_, EscapeForTerminal(line) + "\n");
  }
  std::fflush(out_);
}

// Lines are written over those of the block, and what is left of it is cleared at the end. Clearing
// first would flicker; and a terminal may keep a screen that is cleared from its first line.
void ProgressView::Draw(const JobStatus& status, const std::string& above) {
  std::string text = ToBlockStart() + above;
  const TerminalSize size = size_();
  // One column less: a full line would wrap on some terminals. One row less: the cursor stands
  // below the block, and what has left the screen cannot be drawn over.
  const auto lines = FormatBlock(status, clock_->WallMs(), size.columns - 1,
                                 static_cast<size_t>(std::max(1, size.rows - 1)));
  drawn_columns_.clear();
  for (const std::string& line : lines) {
    text += line + kEndLine;
    drawn_columns_.push_back(ColumnsOf(line));
  }
  Print(out_, text + kClearBelow);
  std::fflush(out_);
}

std::string ProgressView::ToBlockStart() {
  if (drawn_columns_.empty()) return "";
  // When the terminal has become narrower it has wrapped the lines: they take more rows now.
  const auto columns = static_cast<size_t>(std::max(1, size_().columns));
  size_t rows = 0;
  for (const size_t drawn : drawn_columns_) {
    rows += std::max<size_t>(1, (drawn + columns - 1) / columns);
  }
  // First to the line's start, where a ^C that was shown has moved the cursor away from.
  return fmt::format("\r\x1b[{}A", rows);
}

void ProgressView::Finish() {
  if (!drawn_columns_.empty()) Draw(last_);
  drawn_columns_.clear();
  drawn_ms_.reset();
}

TerminalSize SizeOfTerminal(std::FILE* file) {
  const int fd = fileno(file);
  if (!isatty(fd)) return {};
  struct winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {kDefaultColumns, kDefaultRows};
  return {size.ws_col, size.ws_row == 0 ? kDefaultRows : size.ws_row};
}

int TerminalWidth(std::FILE* file) { return SizeOfTerminal(file).columns; }

}  // namespace halcyon::coordinator
