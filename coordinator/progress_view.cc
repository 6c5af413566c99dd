#include "coordinator/progress_view.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>

namespace halcyon::coordinator {
namespace {

constexpr int64_t kDrawIntervalMs = 200;
constexpr int64_t kPlainIntervalMs = 5000;
constexpr int kPlainWidth = 240;
constexpr int kDefaultColumns = 80;

void Print(std::FILE* out, std::string_view text) { std::fwrite(text.data(), 1, text.size(), out); }

}  // namespace

ProgressView::ProgressView(Clock* clock, std::FILE* out, int width)
    : clock_(clock), out_(out), width_(width) {}

ProgressView::~ProgressView() { Finish(); }

void ProgressView::Changed(const JobStatus& status) {
  last_ = status;
  const int64_t now_ms = clock_->MonotonicMs();
  const int64_t interval_ms = width_ > 0 ? kDrawIntervalMs : kPlainIntervalMs;
  const bool due = !shown_ms_ || now_ms - *shown_ms_ >= interval_ms;
  if (width_ > 0) {
    if (!due) return;
    Draw(status);
    shown_ms_ = now_ms;
    return;
  }
  for (const StageStatus& stage : status.stages) {
    jobs::StageState& known = states_[stage.kind];
    if (known == stage.state) continue;
    known = stage.state;
    // Why a stage is made has been said already.
    if (stage.state == jobs::StageState::kRunning) continue;
    Print(out_, FormatStageLine(stage, clock_->WallMs(), kPlainWidth) + "\n");
  }
  if (due) {
    if (shown_ms_) PrintPlain(status);
    shown_ms_ = now_ms;
  }
  std::fflush(out_);
}

void ProgressView::PrintPlain(const JobStatus& status) {
  for (const StageStatus& stage : status.stages) {
    if (stage.state != jobs::StageState::kRunning) continue;
    const std::string details = FormatDetails(stage, clock_->WallMs());
    Print(out_, fmt::format("  {:<12}{:>3.0f} %{}\n", jobs::StageName(stage.kind),
                            std::floor(100 * stage.fraction), details));
  }
}

void ProgressView::Say(std::string_view line) {
  Erase();
  Print(out_, fmt::format("{}\n", line));
  if (width_ > 0 && shown_ms_) Draw(last_);
  std::fflush(out_);
}

void ProgressView::Draw(const JobStatus& status) {
  Erase();
  // One column less: a full line would wrap on some terminals.
  const auto lines = FormatBlock(status, clock_->WallMs(), width_ - 1);
  for (const std::string& line : lines) Print(out_, line + "\n");
  drawn_lines_ = lines.size();
  std::fflush(out_);
}

void ProgressView::Erase() {
  // Cursor up to the block's first line, then clear to the screen's end.
  if (drawn_lines_ > 0) Print(out_, fmt::format("\x1b[{}A\x1b[J", drawn_lines_));
  drawn_lines_ = 0;
}

void ProgressView::Finish() {
  if (width_ > 0 && drawn_lines_ > 0) Draw(last_);
  drawn_lines_ = 0;
}

int TerminalWidth(std::FILE* file) {
  const int fd = fileno(file);
  if (!isatty(fd)) return 0;
  struct winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefaultColumns;
  return size.ws_col;
}

}  // namespace halcyon::coordinator
