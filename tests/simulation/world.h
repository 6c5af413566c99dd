// A whole simulation of one seed: a person who runs the same command until the job is done, the
// coordinator, its workers, the disk, and faults until a time after which none happens.
#ifndef HALCYON_TESTS_SIMULATION_WORLD_H_
#define HALCYON_TESTS_SIMULATION_WORLD_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/run/events.h"
#include "jobs/stage_graph.h"
#include "tests/simulation/checker.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/gang.h"
#include "tests/simulation/planted_bug.h"
#include "tests/simulation/random.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/service.h"
#include "tests/simulation/timeline.h"
#include "tests/simulation/trace.h"

namespace halcyon::simulation {

struct Result {
  std::string violation;  // "" when all invariants held and the job was done
  std::string trace;      // the last lines
  std::string scenario;
  uint64_t events = 0, coordinators = 0;
  int64_t duration_ms = 0;  // simulated
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
  void ToWorker(const WorkerId& worker, uint64_t incarnation, const cluster::Message& message);
  void RunEnded(const absl::Status& how, int64_t began_ms);
  void Note(const std::string& line) { trace.Add(time.now_ms(), line); }
  void NoteEvent(const coordinator::Event& event);
  void NoteEffect(const coordinator::Effect& effect);

  Timeline time;
  Random random;
  const Scenario scenario;
  const jobs::StageGraph graph;
  const PlantedBug bug;
  Disk disk;
  Trace trace;
  Checker checker;
  int64_t fsync_stuck_until_ms = 0;
  std::shared_ptr<Service> service;  // nullptr: no coordinator runs
  std::vector<std::shared_ptr<Worker>> workers;
  std::vector<std::shared_ptr<Gang>> gangs;

 private:
  void StartCoordinator();
  void EndCoordinator(bool workers_may_stay);
  // faults.cc
  void ScheduleFault();
  void Fault();
  void FaultOfWorker(Worker* worker);
  void CrashCoordinator();
  void EndFaults();
  int64_t FaultEndMs(int64_t duration_ms_max);

  std::set<WorkerId> suspects_;  // that the trace has named
  uint64_t events_ = 0;
  bool is_done_ = false;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_WORLD_H_
