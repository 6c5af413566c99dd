#include "tests/simulation/checker.h"

#include <algorithm>
#include <utility>

#include "coordinator/run/task_fence.h"
#include "tests/simulation/gang.h"
#include "tests/simulation/world.h"

namespace halcyon::simulation {

namespace effect = coordinator::effect;
namespace event = coordinator::event;

Checker::Run& Checker::RunOf(const Service& service) {
  return runs_[{service.job().number(), service.incarnation()}];
}

void Checker::OnRun(const Service& service) { RunOf(service) = Run(); }

std::string Checker::Fingerprint(const Service& service, jobs::NodeId stage) const {
  return FingerprintOf(world_->scenario, service.job().graph.node(stage));
}

// --- tasks ---

void Checker::Run::Release(const WorkerId& worker) {
  for (auto& [name, task] : tasks) {
    if (task.holder == worker) task.holder.reset();
  }
}

void Checker::OnEvent(const Service& service, const coordinator::Event& event) {
  Run& run = RunOf(service);
  if (const auto* received = std::get_if<event::Received>(&event)) {
    const WorkerId& worker = received->message.worker;
    const cluster::Body& body = received->message.body;
    if (std::holds_alternative<cluster::Ready>(body)) run.Release(worker);
    const auto* hello = std::get_if<cluster::Hello>(&body);
    if (hello != nullptr && !hello->task.empty()) run.stated[hello->fence] = {hello->task, worker};
    const auto give_up = [&](uint64_t fence) {
      const auto stated = run.stated.find(fence);
      if (stated != run.stated.end()) stated->second.has_result = true;
      const auto task = run.task_of.find(fence);
      if (task != run.task_of.end() && run.tasks[task->second].holder == worker) {
        run.Release(worker);
      }
    };
    if (const auto* done = std::get_if<cluster::TaskDone>(&body)) give_up(done->fence);
    if (const auto* failed = std::get_if<cluster::TaskFailed>(&body)) give_up(failed->fence);
  } else if (const auto* ingested = std::get_if<event::Ingested>(&event)) {
    const auto name = run.task_of.find(ingested->fence.value());
    if (name == run.task_of.end()) return;
    Task& task = run.tasks[name->second];
    task.is_ingesting = false;
    task.is_done = task.is_done || ingested->status.ok();
  } else if (const auto* ended = std::get_if<event::RanksEnded>(&event)) {
    run.launched.erase(ended->stage);
  } else if (const auto* adopted = std::get_if<event::Adopted>(&event)) {
    if (!adopted->status.ok()) run.launched.erase(adopted->stage);
  } else if (const auto* found = std::get_if<event::StageFound>(&event)) {
    OnFound(service, *found);
  } else if (std::holds_alternative<event::StopRequested>(event)) {
    run.is_ending = true;
  }
}

void Checker::OnLease(const Service& service, const WorkerId& worker, const cluster::Lease& lease) {
  Run& run = RunOf(service);
  const std::string& fingerprint = lease.assignment.fingerprint;
  uint64_t& last = run.last_fences[fingerprint];
  if (lease.fence <= last || !fences_.emplace(fingerprint, lease.fence).second) {
    Violated("fences only rise: " + std::to_string(lease.fence) + " comes after " +
             std::to_string(last) + ", or twice");
  }
  last = lease.fence;
  Task& task = run.tasks[lease.task];
  if (task.holder)
    Violated(lease.task + " is leased, and " + task.holder->name + " still holds it");
  if (task.is_ingesting) Violated(lease.task + " is leased while its result is being ingested");
  if (task.is_done) Violated(lease.task + " is leased after it was done");
  task.holder = worker;
  task.fence = lease.fence;
  run.task_of[lease.fence] = lease.task;
}

// It is the task's present one, unless there is a later one.
void Checker::OnAdoption(Run* run, Fence lease) {
  const auto stated = run->stated.find(lease.value());
  if (stated == run->stated.end()) return Violated("a lease is adopted that no agent has");
  const auto& [name, worker, has_result] = stated->second;
  Task& task = run->tasks[name];
  run->task_of[lease.value()] = name;
  if (task.fence > lease.value()) return;
  task.fence = lease.value();
  task.holder.reset();
  if (!has_result) task.holder = worker;
}

void Checker::OnStartAgent(const Service& service, const WorkerId& agent) {
  if (!RunOf(service).agents.insert(agent).second) {
    Violated(agent.name + " is started twice as the same process");
  }
  for (const auto& worker : world_->workers) {
    if (worker->alive() && &worker->job() == &service.job() &&
        worker->incarnation() == service.incarnation() && worker->id().name == agent.name) {
      Violated(agent.name + " is started beside its predecessor");
    }
  }
}

void Checker::OnIngestEffect(Run* run, const effect::Ingest& ingest) {
  const auto name = run->task_of.find(ingest.fence.value());
  if (name == run->task_of.end()) {
    return Violated("an ingest is asked for under no lease of this run");
  }
  Task& task = run->tasks[name->second];
  if (task.fence != ingest.fence.value()) {
    Violated(name->second + ": the ingest is not of its last lease");
  }
  if (task.is_done || task.is_ingesting) Violated(name->second + " has effect twice");
  task.is_ingesting = true;
}

// Who has the claim later may remove the file.
void Checker::OnResultMissing(const Service& service, jobs::NodeId stage, uint32_t shard,
                              Fence lease) {
  const auto& removed = world_->disk.stages.at(Fingerprint(service, stage)).removed_files;
  const auto file = removed.find({shard, lease.value()});
  const std::string holder = "the holder of lease " + std::to_string(lease.value());
  if (file == removed.end()) {
    Violated(holder + " has made nothing yet");
  } else if (file->second == service.ClaimOf(stage) ||
             file->second <= coordinator::ClaimOf(lease)) {
    Violated("what " + holder + " has made was removed under claim " +
             std::to_string(file->second));
  }
}

// --- stages ---

void Checker::OnEffect(const Service& service, const coordinator::Effect& effect) {
  Run& run = RunOf(service);
  if (const auto* send = std::get_if<effect::Send>(&effect)) {
    if (const auto* lease = std::get_if<cluster::Lease>(&send->body)) {
      OnLease(service, send->worker, *lease);
    }
    const auto* welcome = std::get_if<cluster::Welcome>(&send->body);
    const uint64_t launch = welcome == nullptr ? 0 : welcome->assignment.launch;
    if (launch != 0 && launch != send->worker.incarnation) {
      Violated(send->worker.name + " of an earlier launch is welcome in a later one");
    }
  } else if (const auto* ingest = std::get_if<effect::Ingest>(&effect)) {
    OnIngestEffect(&run, *ingest);
  } else if (const auto* end = std::get_if<effect::EndAgent>(&effect)) {
    run.Release(end->agent);
  } else if (const auto* start = std::get_if<effect::StartAgent>(&effect)) {
    OnStartAgent(service, start->agent);
  } else if (const auto* show = std::get_if<effect::ShowNote>(&effect)) {
    run.notes[show->stage] = show->note;
  } else {
    OnStageEffect(service, effect);
  }
}

void Checker::OnStageEffect(const Service& service, const coordinator::Effect& effect) {
  Run& run = RunOf(service);
  const jobs::StageGraph& graph = service.job().graph;
  if (const auto* find = std::get_if<effect::FindStage>(&effect)) {
    for (const jobs::NodeId input : graph.node(find->stage).inputs) {
      if (!world_->disk.artifacts.contains(Fingerprint(service, input))) {
        Violated(graph.node(find->stage).label + " begins before its input is installed");
      }
    }
  } else if (const auto* prepare = std::get_if<effect::PrepareStage>(&effect)) {
    if (!IsMadeBy(service, prepare->stage)) Violated("a stage is begun that the run leaves");
    OnPrepare(service, prepare->stage);
    for (const Fence lease : prepare->leases) OnAdoption(&run, lease);
  } else if (const auto* launch = std::get_if<effect::Launch>(&effect)) {
    OnLaunch(service, *launch);
  } else if (const auto* adopt = std::get_if<effect::AdoptGang>(&effect)) {
    if (!run.launched.empty()) Violated("a gang is adopted beside another");
    run.launched.insert(adopt->stage);
  } else if (const auto* move = std::get_if<effect::MoveStage>(&effect)) {
    const auto [state, is_first] = run.states.emplace(move->stage, jobs::StageState::kWaiting);
    if (!jobs::CanMove(state->second, move->state)) Violated("a stage makes an illegal transition");
    state->second = move->state;
    run.is_ending = run.is_ending || move->state == jobs::StageState::kFailed ||
                    move->state == jobs::StageState::kInterrupted;
  }
}

// Who was only slow may publish what it has made after its claim was taken over, when its last look
// at it came before.
void Checker::OnPrepare(const Service& service, jobs::NodeId stage) {
  const std::string fingerprint = Fingerprint(service, stage);
  const auto published = published_.find(fingerprint);
  if (published != published_.end()) {
    const Taken& claims = taken_["claim/" + fingerprint];
    const auto made = claims.made_ms.find(service.ClaimOf(stage));
    const bool was_late = made != claims.made_ms.end() && published->second.claim < made->first &&
                          made->second <= published->second.time_ms;
    if (!was_late) Violated(fingerprint + " is made twice");
  }
  if (!RunOf(service).preparing.insert(fingerprint).second) {
    Violated(fingerprint + " is made by two stages");
  }
}

void Checker::OnLaunch(const Service& service, const effect::Launch& launch) {
  Run& run = RunOf(service);
  if (!run.launched.empty()) Violated("a gang is launched before the one before has ended");
  run.launched.insert(launch.stage);
  const std::string fingerprint = Fingerprint(service, launch.stage);
  const storage::WriterFence writer{service.ClaimOf(launch.stage), launch.launch};
  if (launch.launch <= std::exchange(run.last_launches[fingerprint], launch.launch) ||
      !launches_.emplace(fingerprint, writer).second) {
    Violated("a launch has the fence of an earlier one: " + writer.ToString());
  }
  writers_[fingerprint] = std::max(writers_[fingerprint], writer);
}

void Checker::OnInstall(const Service& service, const effect::Install& install, int64_t looked_ms) {
  const std::string fingerprint = Fingerprint(service, install.stage);
  const std::string& made_dir = install.outcome.made_dir;
  RunOf(service).preparing.erase(fingerprint);
  if (!made_dir.empty() && !world_->disk.outputs.contains(made_dir)) {
    Violated(fingerprint + " is installed from " + made_dir + ", which no gang has made");
  }
  const uint64_t claim = service.ClaimOf(install.stage);
  for (const auto& [number, made_ms] : taken_["claim/" + fingerprint].made_ms) {
    if (number > claim && made_ms < looked_ms) {
      Violated(fingerprint + " is published under claim " + std::to_string(claim) +
               ", which had been taken over");
    }
  }
  if (!published_.try_emplace(fingerprint, Published{claim, world_->time.now_ms()}).second) {
    Violated(fingerprint + " is published twice");
  }
}

void Checker::OnCheckpoint(const std::string& fingerprint, const storage::WriterFence& writer,
                           uint64_t step) {
  const storage::WriterFence& last = writers_[fingerprint];
  if (writer < last) {
    Violated(fingerprint + ": " + writer.ToString() + " commits step " + std::to_string(step) +
             " after the launch of " + last.ToString());
  }
}

// --- the whole ---

void Checker::Check() {
  CheckWaits();
  std::map<std::string, int> writers;
  for (const auto& gang : world_->gangs) {
    if (gang->MayCommit() && ++writers[gang->fingerprint()] > 1) {
      Violated("two live gangs can commit for " + gang->fingerprint());
    }
  }
  for (const auto& [fingerprint, stage] : world_->disk.stages) {
    Kept& kept = kept_[fingerprint];
    const size_t shards = stage.shards().size();
    if (shards < kept.shards || stage.newest_step < kept.newest_step) {
      Violated(fingerprint + ": what was done is undone");
    }
    if (stage.fence < kept.fence) Violated(fingerprint + ": the fence of its checkpoints falls");
    kept = {shards, stage.newest_step, stage.fence};
  }
  if (world_->disk.artifacts.size() < artifacts_) Violated("an artifact is gone");
  artifacts_ = world_->disk.artifacts.size();
}

}  // namespace halcyon::simulation
