// A whole simulation of one seed: jobs over one state folder, their coordinators and workers, the
// disk, the machines, and faults until a time after which none happens.
#ifndef HALCYON_TESTS_SIMULATION_WORLD_H_
#define HALCYON_TESTS_SIMULATION_WORLD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/run/events.h"
#include "tests/simulation/checker.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/gang.h"
#include "tests/simulation/job.h"
#include "tests/simulation/planted_bug.h"
#include "tests/simulation/random.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/service.h"
#include "tests/simulation/timeline.h"
#include "tests/simulation/trace.h"

namespace halcyon::simulation {

struct Result {
  std::string violation;  // "" when all invariants held and the jobs were done
  std::string trace;      // the last lines
  std::string scenario;
  uint64_t events = 0, coordinators = 0;
  int64_t duration_ms = 0;  // simulated
};

// A machine.
struct Host {
  std::string name;
  int boots = 1;
  bool is_up = true;
};

class World {
 public:
  World(uint64_t seed, PlantedBug planted, bool prints);

  Result Run();

  // --- for its parts ---
  bool faults_are_over() const { return time.now_ms() >= scenario.faults_end_ms; }
  // Whether something that fails so often fails now.
  bool Fails(double probability) { return !faults_are_over() && random.Chance(probability); }
  // Whether what is killed now goes on for a while.
  bool Lingers() { return scenario.lingering && !faults_are_over() && random.Chance(0.5); }
  std::vector<size_t> HostsUp() const;
  // A new process of the coordinator of `job`.
  storage::LeaseHolder Register(const std::shared_ptr<Process>& process, const std::string& who);
  // What `observer` can know of the other's process.
  storage::Presence PresenceOf(const storage::LeaseHolder& other,
                               const storage::LeaseHolder& observer) const;
  bool IsRunning(int64_t pid) const;
  void ForgetDead();
  void Note(const std::string& line) { trace.Add(time.now_ms(), line); }
  void NoteEvent(const Job& job, const coordinator::Event& event);
  void NoteEffect(const Job& job, const coordinator::Effect& effect);

  Timeline time;
  Random random;
  const Scenario scenario;
  const PlantedBug bug;
  Disk disk;
  Trace trace;
  Checker checker;
  int64_t fsync_stuck_until_ms = 0;
  std::vector<Host> hosts;
  std::vector<std::unique_ptr<Job>> jobs;
  std::vector<std::shared_ptr<Worker>> workers;
  std::vector<std::shared_ptr<Gang>> gangs;
  // The labels of the job's stages that a run until that stage makes; nullopt: of all.
  static std::set<std::string> NodesUntil(const Job& job,
                                          const std::optional<jobs::StageKind>& until);
  // That they are made.
  void CheckMade(const Job& job, const std::optional<jobs::StageKind>& until);

 private:
  bool AllDone() const;
  void CheckEnd();
  // faults.cc
  void ScheduleFault();
  void Fault();
  void FaultOfMany(Job* job);
  void FaultOfWorker(Worker* worker);
  void LoseHost(size_t host);
  void EndFaults();
  int64_t FaultEndMs(int64_t duration_ms_max);

  std::set<std::pair<size_t, WorkerId>> suspects_;       // that the trace has named, by job
  std::map<int64_t, std::weak_ptr<Process>> processes_;  // of coordinators, by pid
  uint64_t events_ = 0;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_WORLD_H_
