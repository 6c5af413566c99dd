// The faults of a simulation.
#include <algorithm>

#include "tests/simulation/world.h"

namespace halcyon::simulation {

void World::ScheduleFault() {
  time.After(random.Between(100, scenario.fault_interval_ms_max), [this] {
    if (faults_are_over()) return;
    Fault();
    ScheduleFault();
  });
}

int64_t World::FaultEndMs(int64_t duration_ms_max) {
  return std::min(scenario.faults_end_ms, time.now_ms() + random.Between(100, duration_ms_max));
}

void World::Fault() {
  switch (random.Between(0, 29)) {
    case 0:
    case 1:
      return CrashCoordinator();
    case 2:
    case 3:
      if (service == nullptr) return;
      Note("fault: the coordinator is stopped for a while");
      return service->PauseUntil(FaultEndMs(15'000));
    case 4:
      if (service == nullptr) return;
      Note("fault: the job is asked to stop");
      return service->RequestStop();
    case 5:
      Note("fault: the disk is full");
      disk.is_full = true;
      return time.At(FaultEndMs(10'000), [this] { disk.is_full = false; });
    case 6:
    case 7:
      Note("fault: fsync takes long");
      fsync_stuck_until_ms = FaultEndMs(20'000);
      return;
    case 8: {
      const int64_t until_ms = FaultEndMs(10'000);
      Note("fault: no worker is reached");
      for (const auto& worker : workers) worker->CutUntil(until_ms, true, true);
      return;
    }
    case 9:
      for (const auto& gang : gangs) {
        if (!gang->exit()) return gang->KillLauncher();
      }
      return;
    default:
      std::erase_if(workers, [](const auto& worker) { return !worker->alive(); });
      if (workers.empty()) return;
      return FaultOfWorker(
          workers[static_cast<size_t>(random.Between(0, static_cast<int64_t>(workers.size()) - 1))]
              .get());
  }
}

void World::FaultOfWorker(Worker* worker) {
  switch (random.Between(0, 4)) {
    case 0:
      return worker->End("fault: killed");
    case 4:
      Note("fault: the work of " + worker->Name() + " stands still");
      return worker->Hang();
    case 1:
      Note("fault: " + worker->Name() + " is stopped for a while");
      return worker->PauseUntil(FaultEndMs(20'000));
    default: {
      const bool up = random.Chance(0.7);
      const bool down = !up || random.Chance(0.3);
      Note("fault: the connection of " + worker->Name() + " is cut");
      return worker->CutUntil(FaultEndMs(15'000), up, down);
    }
  }
}

void World::CrashCoordinator() {
  if (service == nullptr || !service->alive()) return;
  Note("fault: the coordinator is killed");
  EndCoordinator(/*workers_may_stay=*/true);
  time.After(random.Between(100, 10'000), [this] { StartCoordinator(); });
}

void World::EndFaults() {
  Note("no more faults");
  disk.is_full = false;
  fsync_stuck_until_ms = 0;
  for (const auto& worker : workers) {
    worker->Heal();
    worker->Continue();
  }
}

}  // namespace halcyon::simulation
