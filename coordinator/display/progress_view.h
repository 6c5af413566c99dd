// The display while a job runs: on a terminal a block of lines that is drawn anew, elsewhere plain
// lines at growing intervals. coordinator/display/progress_format.h makes the text; this decides
// when.
#ifndef HALCYON_COORDINATOR_DISPLAY_PROGRESS_VIEW_H_
#define HALCYON_COORDINATOR_DISPLAY_PROGRESS_VIEW_H_

#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "coordinator/display/progress_format.h"
#include "coordinator/job_context.h"
#include "coordinator/job_status.h"

namespace halcyon::coordinator {

struct TerminalSize {
  int columns = 0;  // 0: no terminal
  int rows = 0;
};

// Of the terminal behind `file`, at this moment.
TerminalSize SizeOfTerminal(std::FILE* file);
// The columns of the terminal behind `file`; 0 when it is none.
int TerminalWidth(std::FILE* file);

// When a log gets another line: soon after a start, then at growing intervals, at most a minute.
class PlainSchedule {
 public:
  void Start(int64_t now_ms);
  // Whether a line is due; then the next is due later.
  bool Due(int64_t now_ms);
  // Another line has been printed: the next is due a whole interval later.
  void Postpone(int64_t now_ms) { next_ms_ = now_ms + interval_ms_; }

 private:
  int64_t interval_ms_ = 0;
  int64_t next_ms_ = 0;
};

class ProgressView : public JobObserver {
 public:
  // `size` is asked before each drawing, so a change is followed. Whether there is a terminal is
  // decided now.
  ProgressView(Clock* clock, std::FILE* out, std::function<TerminalSize()> size);
  ~ProgressView() override;

  void Changed(const JobStatus& status) override;
  void Notify(std::string_view line) override;
  // Draws the last state for good; nothing is drawn over it afterwards.
  void Finish();

 private:
  void Draw(const JobStatus& status, const std::string& above = "");
  std::string ToBlockStart();
  void PrintPlain(const JobStatus& status);

  Clock* clock_;
  std::FILE* out_;
  std::function<TerminalSize()> size_;
  bool terminal_;
  JobStatus last_;
  // Of a terminal.
  std::vector<size_t> drawn_columns_;  // of each line of the block that is on the screen
  std::optional<int64_t> drawn_ms_;
  // Of a log.
  std::map<std::string, jobs::StageState> states_;  // by label
  std::map<std::string, std::string> evaluations_;
  PlainSchedule schedule_;
  std::optional<int64_t> summary_ms_;  // when the next summary line is due
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DISPLAY_PROGRESS_VIEW_H_
