// Runs the collectives of a rank on a thread of its own, one after the other, so that they proceed
// while the rank computes. Open MPI makes progress only inside its functions: without this thread a
// collective that was started would stand still until somebody waits for it.
#ifndef HALCYON_CLUSTER_COLLECTIVE_QUEUE_H_
#define HALCYON_CLUSTER_COLLECTIVE_QUEUE_H_

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "cluster/arrivals.h"
#include "cluster/collective_log.h"
#include "cluster/collectives.h"
#include "cluster/host_group.h"
#include "cluster/pause_detector.h"

namespace halcyon::cluster {

// Collectives started and not yet done; starting another waits.
inline constexpr size_t kStartedMax = 64;

// A collective that has been under way for so long is given up: a rank has stopped without its
// process or its connection to the coordinator having ended. Far longer than what a rank may do
// alone while the others wait: verifying a checkpoint, publishing an artifact.
inline constexpr int64_t kHostTimeoutMs = 30 * 60'000;

struct QueueOptions {
  int64_t timeout_ms = kHostTimeoutMs;
  std::shared_ptr<Arrivals> arrivals =
      nullptr;  // null: nobody is named when a collective does not end
};

// Buffers lie on the host. Used from one thread (Current: any); owns the groups, which the thread
// makes, uses and destroys. The destructor runs what was started to its end first.
class CollectiveQueue final : public Collectives {
 public:
  using MakeGroups = std::function<absl::StatusOr<HostGroups>()>;
  static absl::StatusOr<std::unique_ptr<Collectives>> Start(MakeGroups make_groups,
                                                            const QueueOptions& options = {});
  ~CollectiveQueue() override;
  CollectiveQueue(const CollectiveQueue&) = delete;
  CollectiveQueue& operator=(const CollectiveQueue&) = delete;

  int rank_in(Group group) const override { return places_[static_cast<size_t>(group)].rank; }
  int size_of(Group group) const override { return places_[static_cast<size_t>(group)].size; }
  Pending AllGather(Group group, ConstBuffer in, Buffer out, std::string_view what) override;
  Pending ReduceScatterSum(Group group, ConstBuffer in, Buffer out, std::string_view what) override;
  absl::Status AllReduceSum(std::span<double> values) override;
  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override;
  absl::Status Barrier() override;
  uint64_t order_digest() const override;
  CollectiveFigures TakeFigures() override;
  std::string Current() const override;
  CollectiveStanding Standing() const override;

 private:
  struct Place {
    int rank = 0, size = 0;
  };
  struct Started {
    std::function<absl::Status(HostGroups&)> run;
    std::string name;
    bool done = false;
    absl::Status status;
  };
  class WaitForStarted;

  explicit CollectiveQueue(const QueueOptions& options) : options_(options) {}
  std::shared_ptr<Started> Enqueue(std::string name, CollectiveLog::Traffic traffic,
                                   std::function<absl::Status(HostGroups&)> run);
  absl::Status WaitFor(const Started& started);
  void Run(MakeGroups make_groups);
  void RunStarted(HostGroups& groups);
  // Of the collective under way; kUnavailable when it has lasted for too long.
  absl::Status CheckWait();
  std::shared_ptr<Started> TakeNext();
  void Finish(Started& started, const absl::Status& status, int64_t began_us);

  Clock* const clock_ = Clock::Real();
  const QueueOptions options_;
  // Written by the queue's thread before the first collective can be started.
  Place places_[3];

  mutable Mutex mutex_;
  ConditionVariable changed_;
  std::deque<std::shared_ptr<Started>> queue_ ABSL_GUARDED_BY(mutex_);  // front: under way
  CollectiveLog log_ ABSL_GUARDED_BY(mutex_);                           // of the same collectives
  int64_t cpu_us_ ABSL_GUARDED_BY(mutex_) = 0;  // of the thread, as far as the log has it
  std::optional<absl::Status> made_ ABSL_GUARDED_BY(mutex_);  // how make_groups ended
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);               // the first error of a collective
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;

  // Of the queue's thread.
  PauseDetector pauses_;
  uint64_t noted_ = 0;  // the collective that was noted last

  std::optional<std::jthread> thread_;  // last: it uses all the others
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_COLLECTIVE_QUEUE_H_
