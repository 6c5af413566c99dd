// When a lease (storage/lease.h) may be taken: the decisions without the files. Pure: no I/O, no
// clock, no look at processes.
//
// A holder counts as dead
//   - on the observer's machine (same host name, boot and pid namespace): when its process does not
//     exist. One that exists may be stopped; it is not dead;
//   - elsewhere: when its beat has not changed for kLeaseTimeMs of the observer's own monotonic
//     clock. No clocks of two machines are compared, and no process is looked up on another.
#ifndef HALCYON_STORAGE_LEASE_RULES_H_
#define HALCYON_STORAGE_LEASE_RULES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "base/process_identity.h"

namespace halcyon::storage {

inline constexpr int64_t kLeaseBeatMs = 2000;
inline constexpr int64_t kLeaseTimeMs = 20000;
// Files of so many earlier leases stay, for a person who looks.
inline constexpr uint64_t kLeasesKept = 3;

// The process that holds a lease, and for whom.
struct LeaseHolder : LocatedProcess {
  std::string who;       // "job quick-3f2a91c0"
  int64_t since_ms = 0;  // wall time, for people

  // "job quick-3f2a91c0 (pid 12 on node3)".
  std::string ToString() const;
  bool IsSameProcess(const LeaseHolder& other) const;
};

// What an observer can know of a holder's process.
enum class Presence {
  kElsewhere,  // it cannot be looked up from here
  kRuns,
  kGone,
};

// What one look at a lease's folder shows.
struct LeaseView {
  uint64_t number = 0;  // of the latest; 0: there never was one
  LeaseHolder holder;   // of the latest
  Presence presence = Presence::kElsewhere;
  std::string beat;  // of the latest: changes while the holder lives
  bool has_ended = false;

  // Whether nobody holds it, as far as can be known from one look: it was given up, or the holder
  // was on this machine and is gone.
  bool IsFree() const;
};

// What one observer knows of a lease from its looks at it.
class LeaseWatch {
 public:
  // A process that is known to be dead, whatever its beat.
  void AssumeDead(const LeaseHolder& process) { dead_ = process; }
  // `now_ms`: of the observer's monotonic clock.
  void See(LeaseView view, int64_t now_ms);
  // By the last look: whether nobody holds it, or its holder is dead.
  bool MayTake() const;
  // Of the lease that is then to be made: above `above` and all earlier ones.
  uint64_t NextNumber(uint64_t above) const;
  const LeaseView& seen() const { return seen_; }

 private:
  std::optional<LeaseHolder> dead_;
  LeaseView seen_;
  int64_t first_seen_ms_ = 0;  // when the beat was first seen as it is
  int64_t still_ms_ = 0;       // for how long it has been
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_LEASE_RULES_H_
