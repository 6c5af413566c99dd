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
  Job& job = *jobs[static_cast<size_t>(random.Between(0, static_cast<int64_t>(jobs.size()) - 1))];
  const auto service = job.services().empty() ? nullptr : random.Of(job.services());
  if (scenario.has_several() && random.Chance(0.2)) return FaultOfMany(&job);
  switch (random.Between(0, 29)) {
    case 0:
    case 1:
      return job.CrashCoordinator();
    case 2:
    case 3:
      if (service == nullptr) return;
      Note(job.prefix() + "fault: the coordinator is stopped for a while");
      return service->PauseUntil(FaultEndMs(15'000));
    case 4:
      if (service == nullptr) return;
      Note(job.prefix() + "fault: the job is asked to stop");
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
      if (!workers.empty()) FaultOfWorker(random.Of(workers).get());
  }
}

// That only several jobs or machines can have.
void World::FaultOfMany(Job* job) {
  const auto service = job->services().empty() ? nullptr : random.Of(job->services());
  switch (random.Between(0, 4)) {
    case 0:
      return job->RunTwice();
    case 1:
      return job->Preempt();
    case 2:
      if (hosts.size() > 1) LoseHost(random.Of(HostsUp()));
      return;
    default:
      if (service == nullptr) return;
      Note(job->prefix() + "fault: the coordinator is stopped for longer than leases last");
      return service->PauseUntil(FaultEndMs(90'000));
  }
}

void World::LoseHost(size_t host) {
  if (HostsUp().size() < 2) return;
  Note("fault: " + hosts[host].name + " loses its power");
  hosts[host].is_up = false;
  ++hosts[host].boots;
  for (const auto& worker : workers) {
    if (worker->host() == host) worker->Vanish();
  }
  for (const auto& gang : std::vector(gangs)) gang->LoseHost(host);
  for (const auto& job : jobs) job->LoseHost(host);
  time.At(FaultEndMs(60'000), [this, host] { hosts[host].is_up = true; });
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

void World::EndFaults() {
  Note("no more faults");
  disk.is_full = false;
  fsync_stuck_until_ms = 0;
  for (Host& host : hosts) host.is_up = true;
  for (const auto& worker : workers) {
    worker->Heal();
    worker->Continue();
  }
}

}  // namespace halcyon::simulation
