// When a job is told to stop without anybody asking: before its allocation ends, early enough to
// save; and when one that was told to stop is ended without having saved. Pure.
#ifndef HALCYON_COORDINATOR_RUN_STOP_SCHEDULE_H_
#define HALCYON_COORDINATOR_RUN_STOP_SCHEDULE_H_

#include <cstdint>
#include <optional>

#include "coordinator/job_status.h"

namespace halcyon::coordinator {

// What one look at the clocks and at the job shows.
struct StopFacts {
  int asked = 0;             // requests to stop so far: signals, other processes
  int64_t end_ms = 0;        // wall time at which the allocation ends; 0: not known, or it does not
  int64_t wall_ms = 0;       // now
  int64_t monotonic_ms = 0;  // now
};

class StopSchedule {
 public:
  // `grace_ms`: from the first request to the end without saving; 0: as long as it takes.
  // `margin_ms`: what is kept free before the allocation's end beside the time for a step and
  // saving. `save_ms`: how long saving took in an earlier run, 0: not known.
  StopSchedule(int64_t grace_ms, int64_t margin_ms, int64_t save_ms)
      : grace_ms_(grace_ms), margin_ms_(margin_ms), save_ms_(save_ms) {}

  // The requests to stop at this moment: never fewer than before.
  int Requests(const StopFacts& facts, const JobStatus& status);
  // Whether the end of the allocation is why it stops.
  bool time_is_up() const { return time_is_up_; }
  // How long before the allocation's end the job is to stop: twice a step of the slowest stage that
  // runs, twice the longest saving, and the margin.
  int64_t LeadMs(const JobStatus& status);

 private:
  const int64_t grace_ms_, margin_ms_;
  int64_t save_ms_;
  bool time_is_up_ = false;
  int requests_ = 0;
  std::optional<int64_t> first_ms_;  // monotonic time of the first request
};

// The longest time that saving a checkpoint took in the job's stages, by their figures; 0: not
// known.
int64_t SaveMsOf(const JobStatus& status);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_STOP_SCHEDULE_H_
