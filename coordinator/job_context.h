// What the parts of one run of a job share. Everything with effects outside the process is
// injected, so that a test drives a whole job with its own clock, transport and processes.
#ifndef HALCYON_COORDINATOR_JOB_CONTEXT_H_
#define HALCYON_COORDINATOR_JOB_CONTEXT_H_

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/disk_space.h"
#include "base/env.h"
#include "base/ids.h"
#include "base/memory.h"
#include "base/status.h"
#include "cluster/launcher.h"
#include "cluster/transport.h"
#include "coordinator/job_status.h"
#include "coordinator/lease_keeper.h"
#include "coordinator/processes/earlier_agents.h"
#include "coordinator/processes/earlier_gangs.h"
#include "jobs/job_spec.h"
#include "jobs/stages.h"
#include "storage/home.h"
#include "storage/job_journal.h"
#include "storage/lease.h"

namespace halcyon::coordinator {

// Starts an agent process: a gang of one.
class AgentSpawner {
 public:
  virtual ~AgentSpawner() = default;
  virtual absl::StatusOr<std::unique_ptr<cluster::Gang>> Spawn(const WorkerId& agent) = 0;
};

// Is told of the job's progress; called on the coordinator's thread, often.
class JobObserver {
 public:
  virtual ~JobObserver() = default;
  virtual void Changed(const JobStatus& status) = 0;
  // Something that happened once: one line, for a person.
  virtual void Notify(std::string_view line) = 0;
};

// Pointers are borrowed and outlive the run.
struct JobContext {
  Env* env = nullptr;
  Clock* clock = nullptr;
  storage::JobJournal* journal = nullptr;  // used by the thread of the work that blocks
  LeaseKeeper* leases = nullptr;
  cluster::ServerTransport* transport = nullptr;
  cluster::GangLauncher* gang_launcher = nullptr;
  AgentSpawner* agent_spawner = nullptr;
  JobObserver* observer = nullptr;
  // How often a person or the system has asked to stop: once to save and end, twice to end at once.
  std::function<int()> stop_requests;
  // Wall time at which this process is going to be ended; 0: not known.
  std::function<int64_t()> ends_at_ms = [] { return int64_t{0}; };
  // Whether one of these wants the job to end for good.
  std::function<bool()> cancelled = [] { return false; };
  // What is free where a path lies.
  std::function<absl::StatusOr<DiskRoom>(const std::string&)> free_room = FreeRoom;

  storage::HomeLayout home;
  JobId job;
  Incarnation incarnation;
  // The job's earlier coordinator, which has ended or was found dead: its claims are free.
  std::optional<storage::LeaseHolder> owner_before;
  // Launches and agents of that coordinator that still run.
  EarlierGangs earlier_gangs;
  EarlierAgents earlier_agents;
  std::string spec_path;  // as the user gave it, absolute
  jobs::JobSpec spec;
  cluster::Allocation allocation;  // the hosts that take part
  std::string worker_program;
  std::string until;                        // the last stage that this run makes; "": all
  bool remake_damaged = false;              // artifacts are read whole, and damaged ones made again
  bool from_scratch = false;                // unfinished stages begin anew
  std::optional<MemoryLimit> memory_limit;  // of the machine; nothing: not known
};

// Whether this run makes such a stage, where it is not made yet. REQUIRES: `until` is "" or one of
// the job's stages.
inline bool Makes(const JobContext& context, jobs::StageKind kind) {
  const auto stages = jobs::StagesUntil(context.spec, context.until);
  return stages.ok() && std::ranges::find(*stages, kind) != stages->end();
}

// The launcher's own temporary files.
inline std::string LauncherScratchDir(const JobContext& context) {
  return JoinPath(context.home.Job(context.job.value()), "launcher");
}

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_JOB_CONTEXT_H_
