// What a rank has started together with others: names for messages, the digest of the order, costs,
// and which has been waited for too long. Shared by the implementations of Collectives.
#ifndef HALCYON_CLUSTER_COLLECTIVE_LOG_H_
#define HALCYON_CLUSTER_COLLECTIVE_LOG_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "cluster/collectives.h"

namespace halcyon::cluster {

// "all-gather in the node of block.3".
std::string CollectiveName(std::string_view kind, Group group, std::string_view what);

// The digest of an order after one more collective, whose part of each rank has so many bytes.
uint64_t NextOrderDigest(uint64_t digest, std::string_view name, uint64_t part_bytes);

// Collectives that are started, run one after the other on a device and are seen to end later.
// Not thread-safe.
class CollectiveLog {
 public:
  struct Traffic {
    uint64_t part_bytes = 0;      // of one rank's part: equal on all ranks
    uint64_t received_bytes = 0;  // from other ranks
  };
  // Returns its number: 1, 2, ...
  uint64_t Start(std::string name, Traffic traffic, int64_t now_ms);
  // The oldest was seen to have ended; it was under way for `busy_us`. REQUIRES: is_idle() is
  // false.
  void EndOldest(int64_t busy_us, int64_t now_ms);
  void AddWaited(int64_t us) { figures_.waited_us += us; }
  void AddCpu(int64_t us) { figures_.cpu_us += us; }

  bool is_idle() const { return started_.empty(); }
  // "all-gather of block.3, number 17" of the oldest; "" when idle.
  std::string Oldest() const;
  // The same with the time since it became the oldest, as Collectives::Current has it.
  std::string Current(int64_t now_ms) const;
  // The oldest's number when it has been the oldest for `after_ms` or more; else 0.
  uint64_t Overdue(int64_t now_ms, int64_t after_ms) const;
  // The oldest counts as the oldest since now: what passed before is no one's delay.
  void RestartClock(int64_t now_ms) { oldest_since_ms_ = changed_ms_ = now_ms; }
  // The thread that starts them waits for one, or does so no more.
  void BeginWait() { waits_ = true; }
  void EndWait(int64_t now_ms);
  CollectiveStanding Standing() const;
  // Of the oldest: it has not ended in time, because of `whom` (arrivals.h).
  std::string NotEnded(int64_t timeout_ms, std::string_view whom) const;
  uint64_t order_digest() const { return digest_; }
  CollectiveFigures TakeFigures();

 private:
  struct Started {
    std::string name;
    uint64_t number;
  };
  std::deque<Started> started_;
  int64_t oldest_since_ms_ = 0;
  uint64_t count_ = 0, digest_ = 0;
  bool waits_ = false;  // the thread that starts them
  uint64_t changes_ = 0;
  int64_t changed_ms_ = 0;
  CollectiveFigures figures_;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_COLLECTIVE_LOG_H_
