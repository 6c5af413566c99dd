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
// storage/lease_rules.h says when a holder counts as dead. One that was only stopped finds, at its
// next Check or Renew, that a higher number exists.
#ifndef HALCYON_STORAGE_LEASE_H_
#define HALCYON_STORAGE_LEASE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/status.h"
#include "storage/lease_rules.h"

namespace halcyon::storage {

LeaseHolder ThisProcess(std::string who);

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
  void AssumeDead(const LeaseHolder& process) { watch_.AssumeDead(process); }
  // The lease, its number above `above` and all earlier ones; nullptr while another process holds
  // it. kResourceExhausted, kPermissionDenied, ...: the folder cannot be written.
  absl::StatusOr<std::unique_ptr<Lease>> TryTake(uint64_t above = 0);
  // Of the last try that returned nullptr.
  const LeaseHolder& holder() const { return watch_.seen().holder; }

 private:
  absl::Status Look();
  absl::StatusOr<bool> Make(uint64_t number);
  void RemoveOld(uint64_t number);

  Env& env_;
  Clock& clock_;
  const std::string dir_;
  const LeaseHolder self_;
  LeaseWatch watch_;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_LEASE_H_
