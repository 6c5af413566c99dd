#include "tests/simulation/scenario.h"

namespace halcyon::simulation {
namespace {

void ChooseJob(Scenario* scenario, Random* random) {
  jobs::JobSpec spec;
  spec.name = "simulated";
  spec.data.sources = {"/a.txt"};
  scenario->variants = {spec};
  switch (random->Between(0, 3)) {
    case 0:
      scenario->name = "all stages";
      return;
    case 1:
      scenario->name = "baseline";
      scenario->variants[0].model.head = jobs::HeadKind::kSoftmax;
      return;
    case 2:
      scenario->name = "two texts";
      scenario->variants.push_back(spec);
      scenario->variants[1].data.sources = {"/b.txt"};
      scenario->same_artifacts = random->Chance(0.3);
      return;
    default:
      scenario->name = "two models";
      scenario->variants.push_back(spec);
      scenario->variants[1].model.layers += 1;
      return;
  }
}

}  // namespace

Scenario ScenarioOf(Random* random) {
  Scenario scenario;
  ChooseJob(&scenario, random);
  scenario.limits = {.agents = random->Between(1, 4),
                     .ranks = random->Between(1, 4),
                     .restarts_max = random->Between(0, 4),
                     .hang = {.floor_ms = 30'000, .factor = 4}};
  if (random->Chance(0.3)) scenario.limits.ranks_min = random->Between(1, scenario.limits.ranks);
  scenario.shards = static_cast<uint32_t>(random->Between(1, 6));
  scenario.steps = static_cast<uint64_t>(random->Between(1, random->Chance(0.5) ? 16 : 80));
  scenario.checkpoint_every = static_cast<uint64_t>(random->Between(1, 12));
  scenario.step_ms_max = random->Between(20, 1500);
  scenario.task_ms_max = random->Between(50, 5000);
  if (random->Chance(0.05)) return scenario;  // nothing fails
  scenario.faults_end_ms = random->Between(5'000, 150'000);
  scenario.fault_interval_ms_max = random->Between(500, 10'000);
  if (random->Chance(0.3)) scenario.answer_error = 0.03;
  if (random->Chance(0.3)) scenario.spawn_error = 0.1;
  if (random->Chance(0.3)) scenario.task_error = 0.05;
  scenario.hostile_network = random->Chance(0.3);
  scenario.lingering = random->Chance(0.5);
  if (random->Chance(0.5)) scenario.orphan_grace_ms = random->Between(10'000, 60'000);
  return scenario;
}

std::string FingerprintOf(const Scenario& scenario, const jobs::StageNode& node) {
  const std::string kind(jobs::StageName(node.kind));
  return scenario.same_artifacts ? kind : kind + "-" + node.key.substr(0, 8);
}

}  // namespace halcyon::simulation
