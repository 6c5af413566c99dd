// What happens to a running job, and what it wants done: the only traffic between the pure machines
// (coordinator/run/) and the service that does things (coordinator/job_service.h). Values.
//
// An effect never waits. One that takes time, or that can fail in a way that the job must know of,
// is answered later by the event that is named beside it, exactly once.
#ifndef HALCYON_COORDINATOR_RUN_EVENTS_H_
#define HALCYON_COORDINATOR_RUN_EVENTS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/process_identity.h"
#include "base/status.h"
#include "cluster/messages.h"
#include "coordinator/run/stage_tasks.h"
#include "coordinator/run/worker_health.h"
#include "coordinator/stages/stage_outcome.h"
#include "jobs/job_state.h"
#include "jobs/stage_graph.h"

namespace halcyon::coordinator {

using jobs::NodeId;

// Whether a stage's artifact is there.
struct FoundStage {
  std::string fingerprint;
  bool is_made = false;
  // Of one that is not made: the number of this job's claim, or 0 and who else is making it.
  uint64_t claim = 0;
  std::string busy_with = {};
  std::string why = {};  // it is to be made; "" when it is made
};

// A launch of a gang by an earlier coordinator of the job, whose ranks may still train.
struct EarlierGang {
  uint64_t claim = 0;  // the two are its fence
  uint64_t launch = 0;
  int64_t ranks = 1;
};

// An agent that an earlier coordinator of the job has started, and that runs as far as this machine
// can tell.
struct EarlierAgent {
  WorkerId id;
  std::optional<ProcessIdentity> process = {};  // when its own is known
};

// What a stage that is to be made goes on from.
struct PreparedStage {
  cluster::StageAssignment assignment;
  StageTasks tasks;          // of a stage of tasks: those that are not done
  size_t tasks_done = 0;     // and how many an earlier run has done
  uint64_t newest_step = 0;  // of a gang: that of its newest committed checkpoint, or 0
  std::optional<EarlierGang> earlier_gang = std::nullopt;
};

// What is left of a launch of a gang, when no process of it is.
struct GangRemains {
  absl::Status exit;  // how the launcher ended; OK: with exit code 0
  std::string log_path;
  uint64_t newest_step = 0;  // of the stage's checkpoints
  absl::Status room = {};    // kResourceExhausted: the disk is full
  // Where its ranks were placed, when that was on several hosts, and of these the ones where
  // nothing can be started any more.
  std::vector<std::string> hosts = {}, lost_hosts = {};
  std::string how = {};  // how the launcher ended, in words; "" when it is not known
};

namespace event {

// --- from outside ---
struct Tick {};  // time has passed; at least every 50 ms
struct Received {
  cluster::Message message;  // no heartbeat
};
struct StopRequested {
  int requests = 0;     // all of them: 1 to save and end, 2 to end at once
  bool cancel = false;  // a person wants the job to end for good
};
struct Paused {};   // this process could not run for a while
struct Suspected {  // repeated until the worker is forgotten
  WorkerId worker;
  std::string why;    // "stopped sending in step 12"
  absl::Status room;  // kResourceExhausted: the disk is full
};
struct Beats {  // about once a second: the last of every worker
  std::vector<WorkerBeat> beats;
};
struct AgentEnded {  // not told to
  WorkerId agent;
  absl::Status how;
  absl::Status room;
};
struct LauncherEnded {
  NodeId stage;
  uint64_t launch = 0;
};

// --- ends of effects ---
struct JobChecked {
  absl::Status status;
};
struct StageFound {
  NodeId stage;
  absl::StatusOr<FoundStage> found;
};
struct StagePrepared {
  NodeId stage;
  absl::StatusOr<PreparedStage> prepared;
};
struct Ingested {
  NodeId stage;
  Fence fence;
  absl::Status status;
};
struct LaunchPrepared {
  NodeId stage;
  uint64_t launch = 0;
  absl::Status status;
};
struct Adopted {
  NodeId stage;
  uint64_t launch = 0;
  absl::Status status;  // not OK: there is nothing to adopt
};
struct Launched {
  NodeId stage;
  uint64_t launch = 0;
  absl::Status status;
};
struct LaunchWaits {  // before Launched: what must come before the ranks are started
  NodeId stage;
  uint64_t launch = 0;
  std::string waits_for;
};
struct RoomChecked {
  NodeId stage;
  absl::Status status;
};
struct RanksEnded {
  NodeId stage;
  uint64_t launch = 0;
  absl::StatusOr<GangRemains> remains;
};
struct Installed {
  NodeId stage;
  absl::StatusOr<std::string> warning;  // about a poor result; "" when there is none
};
struct LeaseLost {  // another coordinator has the job, or else another job one of its stages
  absl::Status status;
  bool of_job = false;
};
struct Broken {  // an effect without an answer of its own failed
  absl::Status status;
};

}  // namespace event

using Event = std::variant<event::Tick, event::Received, event::StopRequested, event::Paused,
                           event::Suspected, event::Beats, event::AgentEnded, event::LauncherEnded,
                           event::JobChecked, event::StageFound, event::StagePrepared,
                           event::Ingested, event::LaunchPrepared, event::Adopted, event::Launched,
                           event::LaunchWaits, event::RoomChecked, event::RanksEnded,
                           event::Installed, event::LeaseLost, event::Broken>;

namespace effect {

// --- workers ---
struct Send {
  WorkerId worker;
  cluster::Body body;
};
struct Forget {
  WorkerId worker;
};
struct StartAgent {
  WorkerId agent;
};
struct EndAgent {  // kills it, if it still runs; no AgentEnded follows
  WorkerId agent;
};

// --- files of the job and its stages ---
struct CheckJob {};  // JobChecked: whether the job can be run here at all
struct FindStage {   // StageFound: looks for the artifact; claims the stage when there is none
  NodeId stage;
  bool is_claimed = true;  // false: the stage is not made by this run, and only looked for
};
struct ReleaseStage {  // gives the claim up: the stage is not made here any more
  NodeId stage;
};
struct PrepareStage {  // StagePrepared
  NodeId stage;
  // Of a stage of tasks: earlier coordinators' leases that agents still serve, whose files stay.
  std::vector<Fence> leases = {};
};
struct Ingest {  // Ingested
  NodeId stage;
  size_t task = 0;  // its place in PreparedStage::tasks
  Fence fence;
  nlohmann::json result;
};
struct Install {  // Installed
  NodeId stage;
  StageOutcome outcome;  // of a gang
};
struct RereadSources {};  // the remembered digests of the sources are wrong

// --- gangs ---
struct PrepareLaunch {  // LaunchPrepared: fences off earlier launches, removes what they left
  NodeId stage;
  uint64_t launch = 0;
};
struct AdoptGang {  // Adopted, and when its launcher has ended LauncherEnded
  NodeId stage;
  uint64_t launch = 0;
};
struct Launch {  // Launched, and when it has ended LauncherEnded
  NodeId stage;
  uint64_t launch = 0;
  uint64_t claim = 0;  // for the journal, with the fingerprint: what a later coordinator adopts by
  std::string fingerprint = {};
  int64_t ranks = 0;
  std::vector<std::string> excluded_hosts = {};  // where no rank may be
};
struct TrackRank {  // remembers the process that the rank reports, when it is one of the launch
  NodeId stage;
  WorkerId rank;
  cluster::Hello hello;
};
struct KillGang {
  NodeId stage;
};
struct LeaveWorkers {};  // gives all processes up without ending them: another coordinator has them
struct CheckRoom {       // RoomChecked: whether starting ranks find room for their shared memory
  NodeId stage;
};
struct EndRanks {  // RanksEnded: kills what is left of the launch, waits until it has ended
  NodeId stage;
  uint64_t launch = 0;
  bool may_go_on = false;  // another launch may follow: then its lost hosts are looked for
};

// --- what people see ---
struct MoveJob {
  jobs::JobState state{};
  absl::Status end;
};
struct MoveStage {
  NodeId stage;
  jobs::StageState state{};
  std::string note;
};
struct ShowNote {  // why the stage stands where it is
  NodeId stage;
  std::string note;
};
struct ShowFingerprint {
  NodeId stage;
  std::string fingerprint;
};
struct ShowTasks {
  NodeId stage;
  uint64_t tasks = 0, done = 0;
  double fraction = 0;
  bool is_start = false;  // of this run of the stage
};
struct ShowSteps {
  NodeId stage;
  uint64_t step = 0, steps = 0;
  nlohmann::json figures;
  bool is_start = false;  // of this launch
};
struct ShowRestart {  // of its gang
  NodeId stage;
  std::string why;
};
struct ShowWorkers {
  std::vector<WorkerHealth> workers;  // those that work, kWorkersShownMax of them at most
};
struct Tell {  // one line, for a person, and for the log
  std::string line;
  std::optional<NodeId> stage = std::nullopt;  // that it is about
  bool is_logged = false;                      // by an effect of its own, with more
};
struct LogInfo {
  std::string line;
  std::optional<NodeId> stage = std::nullopt;  // that it is about
};
struct LogWarning {
  std::string line;
  std::optional<NodeId> stage = std::nullopt;
};

}  // namespace effect

using Effect =
    std::variant<effect::Send, effect::Forget, effect::StartAgent, effect::EndAgent,
                 effect::CheckJob, effect::FindStage, effect::ReleaseStage, effect::PrepareStage,
                 effect::Ingest, effect::Install, effect::RereadSources, effect::PrepareLaunch,
                 effect::AdoptGang, effect::Launch, effect::TrackRank, effect::KillGang,
                 effect::LeaveWorkers, effect::CheckRoom, effect::EndRanks, effect::MoveJob,
                 effect::MoveStage, effect::ShowNote, effect::ShowFingerprint, effect::ShowTasks,
                 effect::ShowSteps, effect::ShowRestart, effect::ShowWorkers, effect::Tell,
                 effect::LogInfo, effect::LogWarning>;
using Effects = std::vector<Effect>;

inline constexpr size_t kWorkersShownMax = 512;

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_EVENTS_H_
