// Whether the ranks of a gang go on, from their heartbeats: dead, stopped, cut off, slow and stuck
// are told apart, and of ranks that wait for each other the one that the others wait for is named.
// Pure.
//
// Ranks start the same collectives in the same order, so their numbers tell who has not come. A
// rank that waits in collective number N waits for the ranks that have started fewer than N. A rank
// that waits for others never hangs itself: the limit of what they do counts. When all have come to
// what they wait for and it does not end, the network between them does not work.
#ifndef HALCYON_COORDINATOR_RUN_GANG_WATCH_H_
#define HALCYON_COORDINATOR_RUN_GANG_WATCH_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/run/phase_past.h"
#include "coordinator/run/worker_health.h"

namespace halcyon::coordinator {

// A rank from which nothing came for so long is not judged by what it said last.
inline constexpr int64_t kSilentMsMin = 3000;
// Heartbeats of each rank over which a slow one is looked for.
inline constexpr int kSlowBeats = 60;

class GangWatch {
 public:
  explicit GangWatch(const HangLimits& limits) : past_(limits) {}

  // Another launch begins. What is known of phases stays.
  void Begin(size_t ranks);
  void OnHello(const WorkerId& worker, const cluster::Hello& hello);
  void OnEnded(const WorkerId& worker) { ranks_.erase(worker); }
  // Those of other workers are passed over.
  void Take(const std::vector<WorkerBeat>& beats);

  struct Hang {
    std::string why;   // for a person: rank, machine, step, phase, limit
    std::string host;  // where the rank that hangs is; "" when it is the network
  };
  // nullopt while a rank has not come up, or nothing comes from one.
  std::optional<Hang> FindHang() const;

  // By rank.
  std::vector<WorkerHealth> Health() const;
  // What is known of a rank that stopped sending, to follow its name: "", or "; its process is
  // ...".
  std::string WhySilent(const WorkerId& worker) const;
  // Ranks that were found to be slow since this was last asked, a sentence each.
  std::vector<std::string> TakeSlow();

  std::string HostOf(const WorkerId& worker) const;
  // Ranks of the present launch, or of the last that came up, by machine.
  const std::map<std::string, size_t>& ranks_by_host() const { return ranks_by_host_; }

 private:
  struct Rank {
    uint32_t number = 0;
    std::string host;
    int64_t pid = 0;
    uint64_t start_time = 0;
    std::optional<WorkerBeat> beat;
    PhaseReader reader;
    int busy = 0;  // of the beats of this window: in a step, and not waiting for others
    bool is_slow = false;
    bool is_stopped = false;
  };
  bool Waits(const Rank& rank) const;
  // "rank 1", "ranks 1, 2"; "" when all have started collective `number`.
  std::string Missing(uint64_t number) const;
  std::string WaitingFor(const Rank& rank) const;
  bool IsCutOff(const std::string& host) const;
  std::optional<Hang> NetworkHang() const;
  WorkerHealth HealthOf(const WorkerId& id, const Rank& rank) const;
  void EndWindow();

  PhasePast past_;
  size_t ranks_wanted_ = 0;
  std::map<WorkerId, Rank> ranks_;
  std::map<std::string, size_t> ranks_by_host_;
  int window_beats_ = 0;
  std::vector<std::string> slow_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_GANG_WATCH_H_
