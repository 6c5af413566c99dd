// How a drill's job is run: as processes of this one, or through Slurm. After an end that is no
// failure (its coordinator was killed, it was told to stop) the job is run again, as a person, a
// queue or Slurm's script does.
#ifndef HALCYON_COORDINATOR_DRILL_DRILL_RUNS_H_
#define HALCYON_COORDINATOR_DRILL_DRILL_RUNS_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "cluster/allocation.h"
#include "coordinator/drill/drill_job.h"
#include "coordinator/drill/job_processes.h"

namespace halcyon::coordinator {

struct DrillRun {
  std::string job_file;
  std::vector<std::string> set;            // words of --set
  std::map<std::string, std::string> env;  // for the job's processes; only where all run here
};

// Not thread-safe. The destructor ends a job that has not ended.
class DrillRuns {
 public:
  virtual ~DrillRuns() = default;
  // REQUIRES: the run before has ended.
  virtual absl::Status Start(const DrillRun& run) = 0;
  // Looks after the job. nullopt while it runs or waits to go on; OK: done, else how it failed.
  virtual std::optional<absl::Status> Poll() = 0;
  // Has the job stop and go on: as a job manager does.
  virtual absl::Status Preempt() = 0;
  // How its coordinators ended before the job was done: "killed by signal 9 (Killed)".
  virtual std::vector<std::string> Ends() const = 0;
  // Runs words on another host of the job.
  virtual HostCommand OnHost() const = 0;
  // Ends the job at once, however far it is, and waits for that.
  virtual void Abandon() = 0;
  // What still runs of a job that has ended, as far as can be known, for a person.
  virtual std::vector<std::string> LeftRunning() = 0;
};

// `allocation`: on which hosts the job runs. `rsh_agent`: that of [launch]. `program`: of
// `halcyon`.
std::unique_ptr<DrillRuns> MakeLocalRuns(Env& env, const DrillFolder& folder,
                                         const cluster::Allocation& allocation,
                                         const std::string& rsh_agent, const std::string& program);
std::unique_ptr<DrillRuns> MakeSlurmRuns(Env& env, const DrillFolder& folder);

// The words, run by srun as a step of a Slurm job on that of its nodes which calls itself `host`.
std::vector<std::string> StepOnHost(const std::string& srun, const std::string& slurm_job,
                                    const std::vector<std::string>& nodes, const std::string& host,
                                    const std::vector<std::string>& words);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DRILL_DRILL_RUNS_H_
