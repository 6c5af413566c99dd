// The coordinator's side of an external world: which members are there, and gangs that they start.
#ifndef HALCYON_CLUSTER_EXTERNAL_LAUNCHER_H_
#define HALCYON_CLUSTER_EXTERNAL_LAUNCHER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "base/status.h"
#include "cluster/external_files.h"
#include "cluster/launcher.h"

namespace halcyon::cluster {

// A member on another machine whose beat has not changed for so long is gone; as a lease's holder.
inline constexpr int64_t kMemberGoneMs = 20'000;
inline constexpr int64_t kMemberLookMs = 500;

// What one observer has seen of the members. Not thread-safe.
class MemberWatch {
 public:
  MemberWatch(Env& env, Clock& clock, std::string folder, size_t ranks);

  // Reads their notes, at most every kMemberLookMs.
  void Look();
  enum class Life {
    kUnknown,  // there is a note, but not yet a sign that its member lives
    kHere,
    kGone,  // or never there
  };
  Life life(size_t rank) const { return seen_[rank].life; }
  // REQUIRES: life(rank) is not kGone, or it was something else before.
  const MemberNote& note(size_t rank) const { return seen_[rank].note; }
  size_t ranks() const { return seen_.size(); }
  // Ranks without a member that lives.
  std::vector<size_t> Missing() const;
  // kInvalidArgument: a member that lives is of a world of another size.
  absl::Status CheckSizes() const;

 private:
  struct Seen {
    MemberNote note;
    Life life = Life::kGone;
    int64_t changed_ms = 0;  // when its note was first seen with this beat
  };
  Env& env_;
  Clock& clock_;
  const std::string folder_;
  std::vector<Seen> seen_;  // by rank
  bool has_looked_ = false;
  int64_t looked_ms_ = 0;
};

// Gangs of `ranks` ranks that members start, in a job's folder. A launch waits until all members
// are there (Gang::waits_for); when one of them ends, the gang does. GangOptions::placement and
// scratch_dir have no meaning here.
std::unique_ptr<GangLauncher> MakeExternalLauncher(Env& env, Clock& clock,
                                                   const std::string& job_folder, size_t ranks);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_EXTERNAL_LAUNCHER_H_
