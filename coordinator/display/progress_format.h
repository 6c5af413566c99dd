// The progress of a job as text, for a terminal, a log and `halcyon status`. Pure.
#ifndef HALCYON_COORDINATOR_DISPLAY_PROGRESS_FORMAT_H_
#define HALCYON_COORDINATOR_DISPLAY_PROGRESS_FORMAT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/job_status.h"

namespace halcyon::coordinator {

// "3s", "2m 05s", "1h 02m", "3d 04h".
std::string FormatDuration(int64_t duration_ms);
// "950", "12.3k", "4.56M".
std::string FormatCount(double count);
// "[#####-----]" with `width` cells.
std::string FormatBar(double fraction, int width);

// How long the stage will still take at its present pace; nullopt while it is not known.
std::optional<int64_t> TimeLeftMs(const StageStatus& stage);
// "1.82 s/step", "12.3 steps/s"; "" while it is not known, and for a stage without steps.
std::string FormatStepTime(const StageStatus& stage);

// A running stage: "  model        25 %  step 120/480  1.82 s/step  loss 1.2345  ...  3m 00s left".
std::string FormatRunning(const StageStatus& stage);
// Held-out loss and BrierLM of the stage's last evaluation; "" when there is none.
std::string FormatEvaluation(const StageStatus& stage);
// One line, at most `width` columns wide. Of a running stage the step time, the time left and the
// loss are shown at any width from 20 on.
std::string FormatStageLine(const StageStatus& stage, int width);
// The block on a terminal: the job, a line a stage, and the last evaluation with a sample. Where it
// would have more than `lines_max` lines, the job and the running stages stay.
std::vector<std::string> FormatBlock(const JobStatus& status, int64_t now_ms, int width,
                                     size_t lines_max);
// The graph of the job's stages, a line for each that is made from others:
// "  latents     from tokens, autoencoder".
std::vector<std::string> FormatGraph(const JobStatus& status, int width);
// Where a job stands, for a log that is read from time to time:
// "2026-01-31 12:00 UTC  quick-1  after 3h 00m: model  25 %  ...".
std::string FormatSummaryLine(const JobStatus& status, int64_t now_ms);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DISPLAY_PROGRESS_FORMAT_H_
