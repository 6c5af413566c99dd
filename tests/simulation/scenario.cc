#include "tests/simulation/scenario.h"

#include <array>

namespace halcyon::simulation {
namespace {

// Of the seeds that have more than one job on one host.
constexpr double kSeveralShare = 0.4;
constexpr double kUntilShare = 0.2;

// Jobs of one text share the stages that they have in common.
JobScenario ChooseJob(Scenario* scenario, Random* random) {
  JobScenario job;
  jobs::JobSpec spec;
  spec.name = "simulated";
  spec.data.sources = {"/a.txt"};
  job.variants = {spec};
  const int64_t kind = random->Between(0, 3);
  scenario->name += std::string(scenario->name.empty() ? "" : ", ") +
                    std::array{"all stages", "baseline", "two texts", "two models"}[kind];
  if (kind == 1) {
    job.variants[0].model.head = jobs::HeadKind::kSoftmax;
  } else if (kind == 2) {
    job.variants.push_back(spec);
    job.variants[1].data.sources = {"/b.txt"};
    scenario->same_artifacts = random->Chance(0.3);
  } else if (kind == 3) {
    job.variants.push_back(spec);
    job.variants[1].model.layers += 1;
  }
  job.limits = {.agents = random->Between(1, 4),
                .ranks = random->Between(1, 4),
                .restarts_max = random->Between(0, 4),
                .hang = {.floor_ms = 30'000, .factor = 4}};
  if (random->Chance(0.3)) job.limits.ranks_min = random->Between(1, job.limits.ranks);
  return job;
}

void ChooseJobs(Scenario* scenario, Random* random) {
  const bool has_several = random->Chance(kSeveralShare);
  const int64_t jobs = has_several ? random->Between(1, 4) : 1;
  if (has_several) scenario->hosts = random->Between(1, 4);
  for (int64_t i = 0; i < jobs; ++i) {
    scenario->jobs.push_back(ChooseJob(scenario, random));
    scenario->jobs.back().in_slurm = has_several && random->Chance(0.5);
    if (scenario->jobs.back().in_slurm) scenario->name += " in Slurm";
    if (!random->Chance(kUntilShare)) continue;
    std::vector<jobs::StageKind> stages = jobs::StagesOf(scenario->jobs.back().variants.front());
    stages.pop_back();  // until the last one is the whole job
    scenario->jobs.back().until = random->Of(stages);
    scenario->name += " until " + std::string(jobs::StageName(*scenario->jobs.back().until));
  }
  if (scenario->hosts > 1) scenario->name += ", " + std::to_string(scenario->hosts) + " hosts";
}

}  // namespace

Scenario ScenarioOf(Random* random) {
  Scenario scenario;
  ChooseJobs(&scenario, random);
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
