#include "tests/simulation/checker.h"

#include "tests/simulation/gang.h"
#include "tests/simulation/world.h"

namespace halcyon::simulation {

namespace effect = coordinator::effect;
namespace event = coordinator::event;

void Checker::OnRun() {
  tasks_.clear();
  task_of_.clear();
  stated_.clear();
  preparing_.clear();
  launched_.clear();
  states_.clear();
  agents_.clear();
}

std::string Checker::Fingerprint(jobs::NodeId stage) const {
  return FingerprintOf(world_->scenario, world_->graph.node(stage));
}

// --- tasks ---

void Checker::Release(const WorkerId& worker) {
  for (auto& [name, task] : tasks_) {
    if (task.holder == worker) task.holder.reset();
  }
}

void Checker::OnEvent(const coordinator::Event& event) {
  if (const auto* received = std::get_if<event::Received>(&event)) {
    const WorkerId& worker = received->message.worker;
    const cluster::Body& body = received->message.body;
    if (std::holds_alternative<cluster::Ready>(body)) Release(worker);
    const auto* hello = std::get_if<cluster::Hello>(&body);
    if (hello != nullptr && !hello->task.empty()) stated_[hello->fence] = {hello->task, worker};
    const auto give_up = [&](uint64_t fence) {
      const auto stated = stated_.find(fence);
      if (stated != stated_.end()) stated->second.has_result = true;
      const auto task = task_of_.find(fence);
      if (task != task_of_.end() && tasks_[task->second].holder == worker) Release(worker);
    };
    if (const auto* done = std::get_if<cluster::TaskDone>(&body)) give_up(done->fence);
    if (const auto* failed = std::get_if<cluster::TaskFailed>(&body)) give_up(failed->fence);
  } else if (const auto* ingested = std::get_if<event::Ingested>(&event)) {
    const auto name = task_of_.find(ingested->fence.value());
    if (name == task_of_.end()) return;
    Task& task = tasks_[name->second];
    task.is_ingesting = false;
    task.is_done = task.is_done || ingested->status.ok();
  } else if (const auto* ended = std::get_if<event::RanksEnded>(&event)) {
    launched_.erase(ended->stage);
  } else if (const auto* adopted = std::get_if<event::Adopted>(&event)) {
    if (!adopted->status.ok()) launched_.erase(adopted->stage);
  }
}

void Checker::OnLease(const WorkerId& worker, const cluster::Lease& lease) {
  uint64_t& last = last_fences_[lease.assignment.fingerprint];
  if (lease.fence <= last) {
    Violated("fences only rise: " + std::to_string(lease.fence) + " comes after " +
             std::to_string(last));
  }
  last = std::max(last, lease.fence);
  Task& task = tasks_[lease.task];
  if (task.holder)
    Violated(lease.task + " is leased, and " + task.holder->name + " still holds it");
  if (task.is_ingesting) Violated(lease.task + " is leased while its result is being ingested");
  if (task.is_done) Violated(lease.task + " is leased after it was done");
  task.holder = worker;
  task.fence = lease.fence;
  task_of_[lease.fence] = lease.task;
}

// It is the task's present one, unless there is a later one.
void Checker::OnAdoption(Fence lease) {
  const auto stated = stated_.find(lease.value());
  if (stated == stated_.end()) return Violated("a lease is adopted that no agent has");
  const auto& [name, worker, has_result] = stated->second;
  Task& task = tasks_[name];
  task_of_[lease.value()] = name;
  if (task.fence > lease.value()) return;
  task.fence = lease.value();
  task.holder.reset();
  if (!has_result) task.holder = worker;
}

void Checker::OnStartAgent(const WorkerId& agent) {
  if (!agents_.insert(agent).second) Violated(agent.name + " is started twice as the same process");
  for (const auto& worker : world_->workers) {
    if (worker->alive() && worker->incarnation() == world_->disk.incarnation &&
        worker->id().name == agent.name) {
      Violated(agent.name + " is started beside its predecessor");
    }
  }
}

void Checker::OnIngestEffect(const effect::Ingest& ingest) {
  const auto name = task_of_.find(ingest.fence.value());
  if (name == task_of_.end()) return Violated("an ingest is asked for under no lease of this run");
  Task& task = tasks_[name->second];
  if (task.fence != ingest.fence.value()) {
    Violated(name->second + ": the ingest is not of its last lease");
  }
  if (task.is_done || task.is_ingesting) Violated(name->second + " has effect twice");
  task.is_ingesting = true;
}

void Checker::OnIngest(const std::string& task, const std::string& fingerprint, uint32_t shard,
                       uint64_t fence) {
  if (!world_->disk.stages.at(fingerprint).shard_files.contains({shard, fence})) {
    Violated(task + ": the holder of lease " + std::to_string(fence) + " has made nothing yet");
  }
}

// --- stages ---

void Checker::OnEffect(const coordinator::Effect& effect) {
  if (const auto* send = std::get_if<effect::Send>(&effect)) {
    if (const auto* lease = std::get_if<cluster::Lease>(&send->body)) OnLease(send->worker, *lease);
    const auto* welcome = std::get_if<cluster::Welcome>(&send->body);
    const uint64_t launch = welcome == nullptr ? 0 : welcome->assignment.launch;
    if (launch != 0 && launch != send->worker.incarnation) {
      Violated(send->worker.name + " of an earlier launch is welcome in a later one");
    }
  } else if (const auto* ingest = std::get_if<effect::Ingest>(&effect)) {
    OnIngestEffect(*ingest);
  } else if (const auto* end = std::get_if<effect::EndAgent>(&effect)) {
    Release(end->agent);
  } else if (const auto* start = std::get_if<effect::StartAgent>(&effect)) {
    OnStartAgent(start->agent);
  } else {
    OnStageEffect(effect);
  }
}

void Checker::OnStageEffect(const coordinator::Effect& effect) {
  if (const auto* find = std::get_if<effect::FindStage>(&effect)) {
    for (const jobs::NodeId input : world_->graph.node(find->stage).inputs) {
      if (!world_->disk.artifacts.contains(Fingerprint(input))) {
        Violated(world_->graph.node(find->stage).label + " begins before its input is installed");
      }
    }
  } else if (const auto* prepare = std::get_if<effect::PrepareStage>(&effect)) {
    const std::string fingerprint = Fingerprint(prepare->stage);
    if (world_->disk.artifacts.contains(fingerprint)) Violated(fingerprint + " is made twice");
    if (!preparing_.insert(fingerprint).second) Violated(fingerprint + " is made by two stages");
    for (const Fence lease : prepare->leases) OnAdoption(lease);
  } else if (const auto* launch = std::get_if<effect::Launch>(&effect)) {
    if (!launched_.empty()) Violated("a gang is launched before the one before has ended");
    launched_.insert(launch->stage);
    const std::string fingerprint = Fingerprint(launch->stage);
    const storage::WriterFence writer{world_->disk.stages.at(fingerprint).claim, launch->launch};
    storage::WriterFence& last = writers_[fingerprint];
    if (writer <= last) Violated("a launch has the fence of an earlier one: " + writer.ToString());
    last = writer;
  } else if (const auto* adopt = std::get_if<effect::AdoptGang>(&effect)) {
    if (!launched_.empty()) Violated("a gang is adopted beside another");
    launched_.insert(adopt->stage);
  } else if (const auto* move = std::get_if<effect::MoveStage>(&effect)) {
    const auto [state, is_first] = states_.emplace(move->stage, jobs::StageState::kWaiting);
    if (!jobs::CanMove(state->second, move->state)) Violated("a stage makes an illegal transition");
    state->second = move->state;
  }
}

void Checker::OnInstall(const std::string& fingerprint, const std::string& made_dir) {
  preparing_.erase(fingerprint);
  if (!made_dir.empty() && !world_->disk.outputs.contains(made_dir)) {
    Violated(fingerprint + " is installed from " + made_dir + ", which no gang has made");
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
  std::map<std::string, int> writers;
  for (const auto& gang : world_->gangs) {
    if (gang->MayCommit() && ++writers[gang->fingerprint()] > 1) {
      Violated("two live gangs can commit for " + gang->fingerprint());
    }
  }
  for (const auto& [fingerprint, stage] : world_->disk.stages) {
    Kept& kept = kept_[fingerprint];
    if (stage.shards.size() < kept.shards || stage.newest_step < kept.newest_step) {
      Violated(fingerprint + ": what was done is undone");
    }
    if (stage.fence < kept.fence) Violated(fingerprint + ": the fence of its checkpoints falls");
    kept = {stage.shards.size(), stage.newest_step, stage.fence};
  }
  if (world_->disk.artifacts.size() < artifacts_) Violated("an artifact is gone");
  artifacts_ = world_->disk.artifacts.size();
}

}  // namespace halcyon::simulation
