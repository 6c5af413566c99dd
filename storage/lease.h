// A lease: something in the state folder that one process at a time may own, such as a job or a
// stage that is being made. Works on any POSIX file system, without locks of the kernel, so also
// where the folder is shared by many machines.
//
//   DIR/00000007         made by link(2), so that one of several processes makes it; it says which
//                        process holds the lease. The highest number is the present lease.
//   DIR/00000007.beat    rewritten by the holder every kLeaseBeatMs
//   DIR/00000007.ended   the holder has given it up
//
// Numbers only rise, so the number of a lease is a fence: what was written under a lower one can be
// told from what was written under the present one.
//
// A holder counts as dead
//   - on this machine (same host name, boot and pid namespace): when its process does not exist;
//   - elsewhere: when its beat has not changed for kLeaseTimeMs of the observer's own monotonic
//     clock. No clocks of two machines are compared, and no process is looked up on another.
// A holder that was only stopped finds, at its next Check or Renew, that a higher number exists.
#ifndef HALCYON_STORAGE_LEASE_H_
#define HALCYON_STORAGE_LEASE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/process_identity.h"
#include "base/status.h"

namespace halcyon::storage {

inline constexpr int64_t kLeaseBeatMs = 2000;
inline constexpr int64_t kLeaseTimeMs = 20000;

// The process that holds a lease, and for whom.
struct LeaseHolder : LocatedProcess {
  std::string who;       // "job quick-3f2a91c0"
  int64_t since_ms = 0;  // wall time, for people

  // "job quick-3f2a91c0 (pid 12 on node3)".
  std::string ToString() const;
  bool IsSameProcess(const LeaseHolder& other) const;
};
LeaseHolder ThisProcess(std::string who);

// What a lease's folder says.
struct LeaseView {
  uint64_t number = 0;  // of the latest; 0: there never was one
  LeaseHolder holder;   // of the latest
  std::string beat;     // of the latest: changes while the holder lives
  bool has_ended = false;

  // Whether nobody holds it, as far as can be known from one look: it was given up, or the holder
  // was on this machine and is gone.
  bool IsFree() const;
};
// kDataLoss when the latest lease's file cannot be read as one; its number is then unusable.
absl::StatusOr<LeaseView> LookAtLease(Env& env, const std::string& dir);

// A lease that this process holds. Thread-safe.
class Lease {
 public:
  // Gives it up, if nobody else has taken it.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  uint64_t number() const { return number_; }
  const std::string& dir() const { return dir_; }

  // kAborted when another process has taken the lease over, naming it.
  absl::Status Check() const;
  // Check, then shows that the holder lives.
  absl::Status Renew();
  // The lease stays as if the holder had died; for tests, and for a holder that hands it on.
  void Abandon() { abandoned_ = true; }

 private:
  friend class LeaseSeeker;
  Lease(Env& env, std::string dir, uint64_t number)
      : env_(env), dir_(std::move(dir)), number_(number) {}
  Env& env_;
  const std::string dir_;
  const uint64_t number_;
  std::atomic<uint64_t> beats_ = 0;
  std::atomic<bool> abandoned_ = false;
};

// Tries to take one lease; remembers between tries whether the holder's beat changes. Not
// thread-safe.
class LeaseSeeker {
 public:
  LeaseSeeker(Env& env, Clock& clock, std::string dir, LeaseHolder self)
      : env_(env), clock_(clock), dir_(std::move(dir)), self_(std::move(self)) {}

  // A process that is known to be dead, whatever its beat.
  void AssumeDead(const LeaseHolder& process) { dead_ = process; }
  // The lease, its number above `above` and all earlier ones; nullptr while another process holds
  // it. kResourceExhausted, kPermissionDenied, ...: the folder cannot be written.
  absl::StatusOr<std::unique_ptr<Lease>> TryTake(uint64_t above = 0);
  // Of the last try that returned nullptr.
  const LeaseHolder& holder() const { return seen_.holder; }

 private:
  bool IsDead(const LeaseView& view);
  absl::StatusOr<bool> Make(uint64_t number);
  void RemoveOld(uint64_t number);

  Env& env_;
  Clock& clock_;
  const std::string dir_;
  const LeaseHolder self_;
  std::optional<LeaseHolder> dead_;
  LeaseView seen_;
  int64_t seen_ms_ = 0;  // when the beat was first seen as it is
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_LEASE_H_
