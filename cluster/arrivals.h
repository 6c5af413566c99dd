// Where ranks that wait note how far they are, so that the error of a collective that does not end
// can say for whom it has waited.
#ifndef HALCYON_CLUSTER_ARRIVALS_H_
#define HALCYON_CLUSTER_ARRIVALS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "base/env.h"
#include "base/mutex.h"
#include "base/status.h"

namespace halcyon::cluster {

// Collectives have numbers (collective_log.h), the same on all ranks. A rank whose collective lasts
// for long notes its number; one that gives up reads the notes of the others: whoever has noted
// that number or a later one has come to it. Best effort: what cannot be written or read counts as
// not noted. Any thread.
class Arrivals {
 public:
  virtual ~Arrivals() = default;
  virtual void Note(int rank, uint64_t number) = 0;
  // What the rank noted last.
  virtual std::optional<uint64_t> NotedBy(int rank) = 0;
};

// How long a collective lasts before its rank notes it, of the time after which it is given up.
constexpr int64_t NoteAfterMs(int64_t timeout_ms) {
  return timeout_ms / 10 < 30'000 ? timeout_ms / 10 : 30'000;
}

// "rank 2 has not come to it", "ranks 2, 3 have not come to it"; "all ranks have come to it, so the
// network between them does not work"; "a rank of its group is gone or has not started it" where
// the notes do not tell. `arrivals` may be null. REQUIRES: this rank has noted `number`.
std::string WhoIsMissing(Arrivals* arrivals, int ranks, uint64_t number);

// One file a rank, in a folder that the ranks share: "INCARNATION LAUNCH NUMBER\n". Notes of other
// launches do not count.
class ArrivalFiles final : public Arrivals {
 public:
  explicit ArrivalFiles(Env& env) : env_(env) {}
  // Nothing is noted before. Makes the folder.
  absl::Status Open(const std::string& dir, uint64_t incarnation, uint64_t launch);
  void Note(int rank, uint64_t number) override;
  std::optional<uint64_t> NotedBy(int rank) override;

 private:
  std::string PathOf(int rank) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Env& env_;
  Mutex mutex_;
  std::string dir_ ABSL_GUARDED_BY(mutex_), launch_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_ARRIVALS_H_
