// How far a job is: what the display shows and what `halcyon status` reads from
// jobs/JOB/status.json. A value. The journal, not this file, decides what is done.
#ifndef HALCYON_COORDINATOR_JOB_STATUS_H_
#define HALCYON_COORDINATOR_JOB_STATUS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/ids.h"
#include "base/status.h"
#include "jobs/job_state.h"
#include "jobs/stage_graph.h"
#include "storage/home.h"

namespace halcyon::coordinator {

struct StageStatus {
  jobs::StageKind kind{};
  std::string label;                // of the node of the job's graph; each has another
  std::vector<std::string> inputs;  // the labels of the nodes that it is made from
  jobs::StageState state = jobs::StageState::kWaiting;
  std::string fingerprint;                            // "" until the inputs are known
  double fraction = 0;                                // 0 ... 1
  uint64_t tasks = 0, tasks_done = 0;                 // of a stage of leased tasks
  uint64_t step = 0, steps = 0;                       // of a gang
  nlohmann::json figures = nlohmann::json::object();  // the last of a gang: "loss", "eval", ...
  std::string note;                                   // why it is made, why it failed
  int64_t started_ms = 0;                             // wall time
  int64_t ended_ms = 0;
  double start_fraction = 0;  // where this run of the stage took over
  double pace = 0;       // fraction a second at this time (coordinator/display/pace.h); 0: unknown
  int64_t restarts = 0;  // of its gang in this run, after a failure
  std::string restart_why = {};  // the last of these failures
  int64_t restarted_ms = 0;      // wall time of that

  bool operator==(const StageStatus&) const = default;
};

// A rank, or an agent that has a task, when its state was last looked at.
struct WorkerStatus {
  std::string worker = {};  // "model-rank-1"
  int64_t rank = -1;        // -1: it is an agent
  std::string host = {};
  int64_t pid = 0;             // of its process on that host; 0: not known
  uint64_t start_time = 0;     // of it: clock ticks since boot
  int64_t step = -1;           // of training; -1: none
  std::string phase = {};      // "forward block.3", "tokens/3"
  std::string waits_for = {};  // "rank 1", "all-gather of block.3, number 917"; "" for nothing
  int64_t since_ms = 0;        // wall time: when its work last went on, or it last sent anything
  std::string verdict = {};    // coordinator/run/worker_health.h: "running", "stuck", "cut off"

  bool operator==(const WorkerStatus&) const = default;
};

struct JobStatus {
  std::string job_id;
  std::string name;
  jobs::JobState state = jobs::JobState::kQueued;
  int64_t started_ms = 0;  // wall time, of this run
  int64_t updated_ms = 0;
  int64_t earlier_ms = 0;  // how long the earlier runs of this job took, all together
  int64_t pid = 0;         // of the coordinator
  int exit_code = 0;       // of a run that has ended (base/exit_code.h)
  std::string error;
  std::string until = {};  // the last stage that this run makes; "": all
  std::vector<StageStatus> stages;
  std::vector<WorkerStatus> workers;  // as they were last seen

  StageStatus& Stage(jobs::StageKind kind);
  const StageStatus* Find(jobs::StageKind kind) const;
  // Of all its runs, up to the last change.
  int64_t TotalMs() const { return earlier_ms + updated_ms - started_ms; }
  // Of a partial job: "it is made until tokens; autoencoder, model and eval are left".
  std::string MadeUntil() const;
};

// A job that says it runs, but has no coordinator: it and the stage it was in are interrupted.
void MarkInterrupted(JobStatus* status);

// All stages waiting, in the order of the graph's nodes.
JobStatus NewJobStatus(const std::string& job_id, const std::string& name,
                       const jobs::StageGraph& graph);

nlohmann::json ToJson(const JobStatus& status);
// Members that this version does not know are ignored. kDataLoss when one is missing or has
// another type, kInvalidArgument when a stage or a state has a name that is not known.
absl::StatusOr<JobStatus> JobStatusFromJson(const std::string& text);

std::string StatusPath(const storage::HomeLayout& home, const std::string& job_id);
absl::Status WriteJobStatus(Env& env, const storage::HomeLayout& home, const JobStatus& status);
// kNotFound when there is no such job.
absl::StatusOr<JobStatus> ReadJobStatus(Env& env, const storage::HomeLayout& home,
                                        const std::string& job_id);
// Of every job in the folder, the last changed first; empty when there is no folder. One that
// cannot be read, or is of a newer version, is left out and named in `unreadable`.
absl::StatusOr<std::vector<JobStatus>> ListJobStatuses(Env& env, const storage::HomeLayout& home,
                                                       std::vector<std::string>* unreadable);

// "NAME-xxxxxxxx", with the start of a digest over the name and the job file's absolute path: the
// same command finds the same job again, whatever else was changed in the file.
// What the note of a running stage begins with whose ranks cannot be started yet.
inline constexpr std::string_view kWaitsNote = "its ranks wait: ";

JobId JobIdOf(const std::string& name, const std::string& absolute_spec_path);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_JOB_STATUS_H_
