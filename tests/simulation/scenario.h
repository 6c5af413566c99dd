// What one seed simulates: the jobs, their limits, the machines, and which faults happen how often.
#ifndef HALCYON_TESTS_SIMULATION_SCENARIO_H_
#define HALCYON_TESTS_SIMULATION_SCENARIO_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/run/job_run.h"
#include "jobs/job_spec.h"
#include "jobs/stage_graph.h"
#include "tests/simulation/random.h"

namespace halcyon::simulation {

struct JobScenario {
  std::vector<jobs::JobSpec> variants;
  coordinator::RunLimits limits;
  bool in_slurm = false;  // it runs in allocations, which end
  // Some of its runs end with this stage, until one of them has; then it is run whole.
  std::optional<jobs::StageKind> until = {};
};

struct Scenario {
  std::string name;
  std::vector<JobScenario> jobs;  // over one state folder
  int64_t hosts = 1;
  bool same_artifacts = false;  // all nodes of a kind turn out to be the same artifact
  uint32_t shards = 4;
  uint64_t steps = 10, checkpoint_every = 3;
  int64_t step_ms_max = 300, task_ms_max = 2000;

  int64_t faults_end_ms = 0;          // none begins later
  int64_t fault_interval_ms_max = 0;  // between two faults
  double answer_error = 0;            // of an effect that has an answer
  double spawn_error = 0;             // of a process, before its Hello
  double task_error = 0;
  // Connections break and are made again: messages are lost, come twice, and overtake (worker.h).
  bool hostile_network = false;
  // Processes that are killed may go on for a while, and those of a dead coordinator beside the
  // next.
  bool lingering = false;
  // Workers go on without their coordinator for so long, and the next one may adopt them. 0: they
  // end.
  int64_t orphan_grace_ms = 0;

  bool has_several() const { return jobs.size() > 1 || hosts > 1; }
};

Scenario ScenarioOf(Random* random);

// The fingerprint that the node's artifact turns out to have.
std::string FingerprintOf(const Scenario& scenario, const jobs::StageNode& node);

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_SCENARIO_H_
