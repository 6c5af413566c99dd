#include "tests/simulation/world.h"

#include <algorithm>

namespace halcyon::simulation {
namespace {

// From the last fault on: a gang may need two minutes to be given up, and a run that failed is
// started again.
constexpr int64_t kQuietMsMax = 900'000;
// What was begun before the faults ended has ended by then.
constexpr int64_t kSettleMs = 60'000;

}  // namespace

World::World(uint64_t seed, PlantedBug planted, bool prints)
    : random(seed),
      scenario(ScenarioOf(&random)),
      graph(scenario.variants),
      bug(planted),
      trace(prints),
      checker(this) {}

Result World::Run() {
  StartCoordinator();
  if (scenario.faults_end_ms > 0) {
    ScheduleFault();
    time.At(scenario.faults_end_ms, [this] { EndFaults(); });
  }
  const int64_t deadline_ms = scenario.faults_end_ms + kQuietMsMax;
  while (!is_done_ && checker.violation().empty() && time.RunNext()) {
    ++events_;
    checker.Check();
    if (time.now_ms() > deadline_ms) checker.Violated("the job makes no progress without faults");
  }
  for (const jobs::StageNode& node : graph.nodes()) {
    if (is_done_ && !disk.artifacts.contains(FingerprintOf(scenario, node))) {
      checker.Violated("the job is done without " + node.label);
    }
  }
  return {.violation = checker.violation(),
          .trace = trace.Last(),
          .scenario = scenario.name,
          .events = events_,
          .coordinators = disk.incarnation,
          .duration_ms = time.now_ms()};
}

void World::StartCoordinator() {
  if (disk.incarnation == 0 || bug != PlantedBug::kIncarnationNotRaised) ++disk.incarnation;
  Note("coordinator " + std::to_string(disk.incarnation) + " begins");
  checker.OnRun();
  service = std::make_shared<Service>(this, disk.incarnation);
  service->Start();
}

// The real coordinator waits until no worker of an earlier one is left. What the fences are for is
// that one is left all the same, so that here some are.
void World::EndCoordinator(bool workers_may_stay) {
  service->Crash();
  service.reset();
  std::erase_if(workers, [](const auto& worker) { return !worker->alive(); });
  std::erase_if(gangs, [](const auto& gang) { return !gang->any_alive(); });
  if (workers_may_stay && scenario.orphan_grace_ms > 0) return;
  const std::vector<std::shared_ptr<Worker>> left = workers;
  const bool all_stay = workers_may_stay && Lingers();
  for (const auto& worker : left) {
    if (!all_stay && !(workers_may_stay && Lingers())) worker->End("its coordinator has ended");
  }
}

void World::RunEnded(const absl::Status& how, int64_t began_ms) {
  Note("the run ends: " + how.ToString());
  const bool has_faults =
      scenario.faults_end_ms > 0 && began_ms < scenario.faults_end_ms + kSettleMs;
  if (!how.ok() && !has_faults) {
    checker.Violated("a run without faults fails: " + how.ToString());
  }
  time.After(0, [this, is_done = how.ok()] {
    if (service == nullptr || service->alive()) return;
    EndCoordinator(/*workers_may_stay=*/false);
    is_done_ = is_done;
    if (!is_done_) time.After(random.Between(100, 5000), [this] { StartCoordinator(); });
  });
}

void World::ToWorker(const WorkerId& id, uint64_t incarnation, const cluster::Message& message) {
  for (const auto& worker : workers) {
    if (worker->alive() && worker->id() == id && worker->incarnation() == incarnation) {
      return worker->Deliver(message);
    }
  }
}

}  // namespace halcyon::simulation
