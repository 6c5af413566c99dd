// A member of an external world: the process that torchrun or the like starts once for each rank.
// It starts the rank of each launch that the job's coordinator orders (external_files.h), as a
// child process, so that one external world serves all launches of a job.
#ifndef HALCYON_CLUSTER_EXTERNAL_MEMBER_H_
#define HALCYON_CLUSTER_EXTERNAL_MEMBER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/status.h"
#include "cluster/external_files.h"
#include "cluster/external_world.h"
#include "cluster/process.h"

namespace halcyon::cluster {

inline constexpr int64_t kMemberBeatMs = 1000;
inline constexpr int64_t kMemberPollMs = 200;

struct MemberOptions {
  std::string folder;  // ExternalFolder; made when it does not exist
  ExternalWorld world;
  // Changes at least once a minute while the job has a coordinator.
  std::function<std::string()> coordinator_sign = [] { return ""; };
  // How many signals have come. From the first on no rank is started, and the one that runs may end
  // by itself for a while: when all of a job's processes are told to end, its coordinator has the
  // ranks save. The second ends it at once.
  std::function<int()> signals = [] { return 0; };
  int64_t stop_grace_ms = 25'000;
  // Without a coordinator and without a rank it ends after this time.
  int64_t coordinator_wait_ms = 600'000;
};

// Not thread-safe. The destructor kills the rank.
class ExternalMember {
 public:
  ExternalMember(Env& env, Clock& clock, MemberOptions options);
  ~ExternalMember();

  // Takes the place of its rank. kFailedPrecondition: the folder cannot be written.
  absl::Status Join();
  // Looks at the order, starts, kills and reaps, writes its note. nullopt: it goes on. Otherwise
  // the exit code of the job, which has ended; kAborted: told to end, or another member has taken
  // this one's place; kUnavailable: there is no coordinator.
  std::optional<absl::StatusOr<int>> Turn();
  // Join, then Turn every kMemberPollMs.
  absl::StatusOr<int> Run();

 private:
  void Obey(const LaunchOrder& order);
  void Start(const LaunchOrder& order);
  void Kill();
  void Reap();
  std::optional<absl::Status> WhyEnd();
  absl::Status WriteBeat();

  Env& env_;
  Clock& clock_;
  const MemberOptions options_;
  MemberNote note_;
  std::unique_ptr<ChildProcess> rank_;
  std::optional<uint64_t> closed_before_;  // the number of an order that had ended an earlier run
  std::optional<int> closed_code_;         // its exit code
  bool is_written_ = false;                // the note is, as it stands
  int64_t written_ms_ = 0;
  std::string sign_;
  int64_t sign_ms_ = 0;
  std::optional<int64_t> signalled_ms_;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_EXTERNAL_MEMBER_H_
