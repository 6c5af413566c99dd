// jobs/JOB/requests/: what other processes, also on other machines, ask of a job's coordinator. A
// file for each kind of request, written atomically: "stop" has the job save and end, to go on
// later; "cancel" has it save and end for good. With {"now": true} it ends without saving.
//
// A request is addressed to a submission (coordinator/submit/submission.h). One that was made for
// an earlier submission, or by hand before the job began, is removed when the job begins; one for a
// job that Slurm is just starting is honoured.
#ifndef HALCYON_COORDINATOR_REQUESTS_H_
#define HALCYON_COORDINATOR_REQUESTS_H_

#include <atomic>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/env.h"
#include "base/mutex.h"
#include "base/status.h"
#include "storage/home.h"

namespace halcyon::coordinator {

enum class Request { kStop, kCancel };
std::string_view NameOf(Request request);

// `submission`: its id; "" when the job was never submitted. REQUIRES: the job's folder exists.
absl::Status WriteRequest(Env& env, const storage::HomeLayout& home, const std::string& job_id,
                          Request request, const std::string& submission, bool now);

// What is asked for at this moment.
struct Requests {
  int stops = 0;  // 1: save and end; 2: end at once
  bool cancel = false;
};
Requests ReadRequests(Env& env, const storage::HomeLayout& home, const std::string& job_id);

// Removes the requests that are not for `submission`; with "" all.
absl::Status RemoveOldRequests(Env& env, const storage::HomeLayout& home, const std::string& job_id,
                               const std::string& submission);

inline constexpr int64_t kRequestsPollMs = 1000;

// Reads the requests once a second on a thread of its own, so that a file system that hangs delays
// nothing else. Thread-safe.
class RequestWatcher {
 public:
  RequestWatcher(Env* env, const storage::HomeLayout& home, std::string job_id);
  ~RequestWatcher();
  RequestWatcher(const RequestWatcher&) = delete;
  RequestWatcher& operator=(const RequestWatcher&) = delete;

  // They never become fewer.
  int stops() const { return stops_; }
  bool cancelled() const { return cancelled_; }

 private:
  void Watch();

  Env* const env_;
  const storage::HomeLayout home_;
  const std::string job_id_;
  std::atomic<int> stops_ = 0;
  std::atomic<bool> cancelled_ = false;
  Mutex mutex_;
  ConditionVariable changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_REQUESTS_H_
