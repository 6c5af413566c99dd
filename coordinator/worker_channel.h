// The coordinator's connection to its workers: messages in, messages out, heartbeats both ways, and
// which of them have stopped sending. It does not interpret messages. Each worker has a stream each
// way (cluster/reliable_stream.h), so that every message but heartbeats comes in once and in order.
#ifndef HALCYON_COORDINATOR_WORKER_CHANNEL_H_
#define HALCYON_COORDINATOR_WORKER_CHANNEL_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "base/status.h"
#include "cluster/failure_detector.h"
#include "cluster/messages.h"
#include "cluster/pause_detector.h"
#include "cluster/process.h"
#include "cluster/reliable_stream.h"
#include "cluster/transport.h"
#include "coordinator/run/worker_health.h"

namespace halcyon::coordinator {

// What one worker may have waiting here; a worker that exceeds it is a suspect.
inline constexpr size_t kWaitingMessagesMax = 4096;
inline constexpr size_t kWaitingBytesMax = 8 << 20;
// Workers known at a time; messages of others are dropped.
inline constexpr size_t kWorkersMax = 16384;
// What one worker may send in kRateSpanMs, heartbeats included; one that sends more is a suspect.
inline constexpr int64_t kRateSpanMs = 10'000;
inline constexpr int64_t kRateMessagesMax = 50'000;
// What is sent to one worker and not acknowledged; a worker that exceeds it is a suspect.
inline constexpr size_t kUnacknowledgedMax = 4096;
// Workers remembered as forgotten, so that they cannot come back.
inline constexpr size_t kForgottenMax = 65'536;

// Thread-safe. Owns neither transport nor clock.
//
// Heartbeats must not depend on what the coordinator's thread does: it writes files, and one fsync
// of a busy disk may take longer than the heartbeat timeout. So a thread of its own sends and
// receives. It touches no file and takes each message's time when it comes in.
class WorkerChannel {
 public:
  WorkerChannel(cluster::ServerTransport* transport, Clock* clock, JobId job,
                Incarnation incarnation)
      : transport_(transport), clock_(clock), job_(std::move(job)), incarnation_(incarnation) {}
  ~WorkerChannel();
  WorkerChannel(const WorkerChannel&) = delete;
  WorkerChannel& operator=(const WorkerChannel&) = delete;

  // From here on a thread uses the transport. Without it, Next and Send do the thread's work, which
  // lets a test drive everything from one thread.
  void StartThread();

  // The next message, heartbeats excepted, or nullopt after `timeout_ms`. A message of another job
  // or incarnation is dropped.
  absl::StatusOr<std::optional<cluster::Message>> Next(int64_t timeout_ms);

  // Ends a wait of Next, or its next one, without a message. May be called by any thread.
  void Wake();

  // Queues; what cannot be sent is an error of the next call. To a worker that was forgotten or has
  // exceeded a limit nothing is sent.
  absl::Status Send(const WorkerId& worker, cluster::Body body);

  struct Suspect {
    WorkerId worker;
    std::string why;  // "stopped sending in step 12", "sent more than ..."
  };
  // Workers that have sent something and then nothing for cluster::kHeartbeatTimeoutMs, and those
  // that send more than is read or allowed. They stay suspects until they are forgotten.
  std::vector<Suspect> Suspects();
  // What is known of each worker that has sent something.
  std::vector<WorkerBeat> Beats();
  // The worker has ended: no more heartbeats to it, no timeout, and its unread messages are
  // dropped. When it sends a heartbeat all the same, it is told to end at once.
  void Forget(const WorkerId& worker);
  // How often this process was found to have been stopped for a while; the timeouts then start
  // anew.
  int pauses();

 private:
  struct Worker {
    cluster::ReliableStream stream;
    cluster::Activity activity;                       // of its last heartbeat
    std::optional<cluster::ProcessIdentity> process;  // when it is of this machine
    size_t waiting = 0, waiting_bytes = 0;
    int64_t span_began_ms = 0, span_messages = 0;
    std::string exceeded;  // the limit; no message is taken any more
  };
  // Sends what is due, then reads: waits for the first message, takes the others that are there.
  absl::Status Turn(int64_t timeout_ms);
  absl::Status SendDue();
  absl::Status SendHeartbeats();
  void NotePause();
  void Take(cluster::Message message);
  static void CountRate(int64_t now_ms, Worker* worker);
  cluster::Message Addressed(const WorkerId& worker, cluster::Body body) const;
  void Remove(const WorkerId& worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasPlace() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run();
  bool closing();
  std::optional<cluster::Message> TakeFirst() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  cluster::ServerTransport* const transport_;  // of the thread, once there is one
  Clock* const clock_;
  const JobId job_;
  const Incarnation incarnation_;
  const std::string boot_id_ = cluster::BootId();
  std::optional<int64_t> heartbeat_ms_;  // when the last one was sent; used as the transport is
  cluster::PauseDetector pause_;         // used as the transport is

  Mutex mutex_;
  ConditionVariable changed_;
  cluster::FailureDetector detector_ ABSL_GUARDED_BY(mutex_);
  // When the last turn began. Timeouts are judged at this time, up to which pauses of this process
  // are known; at a later time an unnoticed pause would count as missing messages.
  int64_t turned_ms_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<WorkerId, Worker> workers_ ABSL_GUARDED_BY(mutex_);
  std::deque<cluster::Message> inbox_ ABSL_GUARDED_BY(mutex_);
  // Workers to which something is to be sent, and be it an acknowledgement.
  std::set<WorkerId> due_ ABSL_GUARDED_BY(mutex_);
  std::set<WorkerId> forgotten_ ABSL_GUARDED_BY(mutex_);
  std::deque<WorkerId> forgotten_order_ ABSL_GUARDED_BY(mutex_);  // the oldest first
  std::vector<WorkerId> told_to_end_ ABSL_GUARDED_BY(mutex_);     // at the next turn
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
  int pauses_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;

  std::optional<std::jthread> thread_;  // last: it uses all the others
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_WORKER_CHANNEL_H_
