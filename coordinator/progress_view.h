// What a person sees while a job runs: on a terminal a block of lines that is drawn anew, elsewhere
// plain lines now and then. Formatting is pure; ProgressView only decides when and prints.
#ifndef HALCYON_COORDINATOR_PROGRESS_VIEW_H_
#define HALCYON_COORDINATOR_PROGRESS_VIEW_H_

#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "coordinator/job_context.h"
#include "coordinator/job_status.h"

namespace halcyon::coordinator {

// "3s", "2m 05s", "1h 02m".
std::string FormatDuration(int64_t duration_ms);
// "950", "12.3k", "4.56M".
std::string FormatCount(double count);
// "[#####-----]" with `width` cells.
std::string FormatBar(double fraction, int width);

// How long the stage will still take at the pace of this run; nullopt while there is no telling.
std::optional<int64_t> TimeLeftMs(const StageStatus& stage, int64_t now_ms);

// Everything of a running stage but its name and state: "step 120/1500  loss 1.2345  ...".
std::string FormatDetails(const StageStatus& stage, int64_t now_ms);
// One line, at most `width` characters wide.
std::string FormatStageLine(const StageStatus& stage, int64_t now_ms, int width);
// The block on a terminal: the job, a line a stage, and the last evaluation with a sample.
std::vector<std::string> FormatBlock(const JobStatus& status, int64_t now_ms, int width);

class ProgressView : public JobObserver {
 public:
  // `width`: of the terminal; 0: plain lines.
  ProgressView(Clock* clock, std::FILE* out, int width);
  ~ProgressView() override;

  void Changed(const JobStatus& status) override;
  void Say(std::string_view line) override;
  // Draws the last state for good; nothing is drawn over it afterwards.
  void Finish();

 private:
  void Draw(const JobStatus& status);
  void Erase();
  void PrintPlain(const JobStatus& status);

  Clock* clock_;
  std::FILE* out_;
  int width_;
  size_t drawn_lines_ = 0;
  std::optional<int64_t> shown_ms_;
  JobStatus last_;
  std::map<jobs::StageKind, jobs::StageState> states_;
};

// The columns of the terminal behind `file`; 0 when it is none.
int TerminalWidth(std::FILE* file);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PROGRESS_VIEW_H_
