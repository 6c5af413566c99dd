// A JobRun that is driven by hand: events in, effects out. The answers that a test is not about are
// given by Settle.
#ifndef HALCYON_TESTS_COORDINATOR_RUN_FIXTURE_H_
#define HALCYON_TESTS_COORDINATOR_RUN_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/run/job_run.h"

namespace halcyon::coordinator {

class JobRunTest : public ::testing::Test {
 protected:
  static jobs::JobSpec Spec() {
    jobs::JobSpec spec;
    spec.name = "t";
    spec.data.sources = {"/a.txt"};
    return spec;
  }

  // Two texts: two chains of stages that have nothing in common.
  static std::vector<jobs::JobSpec> TwoTexts(jobs::JobSpec spec) {
    std::vector<jobs::JobSpec> variants(2, spec);
    variants[1].data.sources = {"/b.txt"};
    return variants;
  }

  // Everything up to the first stages.
  void Begin(const std::vector<jobs::JobSpec>& variants = {Spec()}) {
    run_ = std::make_unique<JobRun>(
        jobs::StageGraph(variants), limits_,
        EarlierWorkers{.launches = earlier_launches_, .agents = earlier_agents_});
    Take(run_->Start());
    for (const auto& [worker, body] : early_messages_) From(worker, body);
    Happen(event::JobChecked{check_});
    Settle();
  }

  void Happen(const Event& event) { Take(run_->On(event, now_ms_)); }
  void PassMs(int64_t duration_ms) {
    now_ms_ += duration_ms;
    Happen(event::Tick{});
  }
  void Stop(int requests = 1) { Happen(event::StopRequested{requests}); }
  void From(const WorkerId& worker, cluster::Body body) {
    cluster::Message message;
    message.worker = worker;
    message.body = std::move(body);
    Happen(event::Received{std::move(message)});
  }

  // Answers the searches, preparations and reservations that are asked for, and has every started
  // agent say that it has nothing to do, until none is left.
  void Settle() {
    bool any = true;
    while (any) {
      any = false;
      for (const auto& find : All<effect::FindStage>()) {
        any = true;
        const std::string& name = Label(find.stage);
        if (find.is_claimed) claimed_.insert(name);
        const auto it = fingerprints_.find(name);
        const std::string fingerprint = it == fingerprints_.end() ? "of " + name : it->second;
        const auto error = find_errors_.find(fingerprint);
        if (error == find_errors_.end()) {
          Happen(event::StageFound{find.stage, Found(fingerprint, find.is_claimed)});
        } else {
          Happen(event::StageFound{find.stage, error->second});
        }
      }
      for (const auto& prepare : All<effect::PrepareStage>()) {
        any = true;
        Happen(event::StagePrepared{prepare.stage, Prepared(prepare.stage)});
      }
      for (const auto& start : All<effect::StartAgent>()) {
        any = true;
        agents_.push_back(start.agent);
        if (!agents_come_up_) continue;
        From(start.agent, cluster::Hello{"agent", "", 0, 1, 0, ""});
        From(start.agent, cluster::Ready{});
      }
    }
  }

  FoundStage Found(const std::string& fingerprint, bool is_claimed = true) {
    FoundStage found{.fingerprint = fingerprint};
    found.is_made = made_.contains(fingerprint);
    if (found.is_made || !is_claimed) return found;
    const auto busy = busy_.find(fingerprint);
    if (busy != busy_.end()) {
      found.busy_with = busy->second;
    } else {
      const auto claim = claims_.find(fingerprint);
      found.claim = claim == claims_.end() ? kClaim : claim->second;
      found.why = "new";
    }
    return found;
  }

  PreparedStage Prepared(NodeId id) {
    PreparedStage prepared;
    const std::string& name = Label(id);
    prepared.assignment.stage = jobs::StageName(run_->graph().node(id).kind);
    prepared.assignment.fingerprint = "of " + name;
    prepared.assignment.work_dir = "/w/" + name;
    prepared.assignment.claim = kClaim;
    prepared.newest_step = newest_step_;
    if (earlier_launches_.contains(name)) {
      prepared.earlier_gang = EarlierGang{kClaim - 1, earlier_launches_.at(name), earlier_ranks_};
    }
    const jobs::StageShape shape = jobs::ShapeOf(run_->graph().node(id).kind);
    if (shape == jobs::StageShape::kSingleTask) prepared.tasks.Add(name, {});
    if (shape == jobs::StageShape::kShardTasks) {
      prepared.tasks_done = shards_done_;
      for (size_t shard = shards_done_; shard < shards_; ++shard) {
        prepared.tasks.Add(name + "/" + std::to_string(shard), {{"shard", shard}});
      }
    }
    return prepared;
  }

  // The effects of the kind that have been asked for since they were last taken.
  template <typename Kind>
  std::vector<Kind> All() {
    std::vector<Kind> found;
    std::erase_if(effects_, [&](const Effect& effect) {
      const auto* one = std::get_if<Kind>(&effect);
      if (one != nullptr) found.push_back(*one);
      return one != nullptr;
    });
    return found;
  }
  template <typename Kind>
  bool Has() const {
    return std::any_of(effects_.begin(), effects_.end(),
                       [](const Effect& effect) { return std::holds_alternative<Kind>(effect); });
  }
  template <typename Kind>
  Kind Only() {
    const std::vector<Kind> found = All<Kind>();
    EXPECT_EQ(found.size(), 1u);
    return found.empty() ? Kind{} : found.front();
  }
  // What was sent of one kind of message, with its receivers.
  template <typename Body>
  std::vector<std::pair<WorkerId, Body>> Sent() {
    std::vector<std::pair<WorkerId, Body>> found;
    std::erase_if(effects_, [&](const Effect& effect) {
      const auto* send = std::get_if<effect::Send>(&effect);
      const auto* body = send == nullptr ? nullptr : std::get_if<Body>(&send->body);
      if (body != nullptr) found.emplace_back(send->worker, *body);
      return body != nullptr;
    });
    return found;
  }
  std::string Told() {
    std::string lines;
    for (const auto& tell : All<effect::Tell>()) lines += tell.line + "\n";
    return lines;
  }

  NodeId Node(const std::string& name) const {
    for (size_t i = 0; i < run_->graph().size(); ++i) {
      if (run_->graph().node(NodeId(i)).label == name) return NodeId(i);
    }
    ADD_FAILURE() << "no stage " << name;
    return NodeId(0);
  }
  std::vector<NodeId> NodesOf(jobs::StageKind kind) const {
    std::vector<NodeId> found;
    for (size_t i = 0; i < run_->graph().size(); ++i) {
      if (run_->graph().node(NodeId(i)).kind == kind) found.push_back(NodeId(i));
    }
    return found;
  }
  const std::string& Label(NodeId id) const { return run_->graph().node(id).label; }
  // The state that the stage was last moved to.
  jobs::StageState StateOf(NodeId id) const {
    const auto it = states_.find(id);
    return it == states_.end() ? jobs::StageState::kWaiting : it->second;
  }
  bool Ended(absl::StatusCode code, const std::string& message = "") const {
    return run_->end() && run_->end()->code() == code &&
           MessageOf(*run_->end()).find(message) != std::string::npos;
  }
  std::string HowItEnded() const { return run_->end() ? run_->end()->ToString() : "it runs"; }

  // Does the task of a lease, and commits it.
  void FinishTask(const std::pair<WorkerId, cluster::Lease>& lease) {
    From(lease.first, cluster::TaskDone{lease.second.task, lease.second.fence, {}});
    CommitAll();
    From(lease.first, cluster::Ready{lease.second.fence});
  }
  void CommitAll() {
    for (const auto& ingest : All<effect::Ingest>()) {
      Happen(event::Ingested{ingest.stage, ingest.fence, absl::OkStatus()});
    }
  }
  void InstallAll() {
    for (const auto& install : All<effect::Install>()) {
      Happen(event::Installed{install.stage, ""});
      Settle();
    }
  }
  // Until no stage of tasks has anything to do.
  void FinishTasks() {
    while (true) {
      Settle();
      const auto leases = Sent<cluster::Lease>();
      if (leases.empty()) return;
      for (const auto& lease : leases) FinishTask(lease);
      InstallAll();
    }
  }

  RunLimits limits_{.agents = 2, .ranks = 2, .restarts_max = 2};
  absl::Status check_;
  static constexpr uint64_t kClaim = 7;
  std::map<std::string, uint64_t> claims_;           // by fingerprint, where it is another
  std::set<std::string> made_;                       // fingerprints
  std::map<std::string, std::string> busy_;          // fingerprint -> the job that makes it
  std::map<std::string, absl::Status> find_errors_;  // by fingerprint
  std::set<std::string> claimed_;                    // labels of stages that may have been
  std::map<std::string, std::string> fingerprints_;  // by label, where they are not "of LABEL"
  size_t shards_ = 4, shards_done_ = 0;
  uint64_t newest_step_ = 0;
  bool agents_come_up_ = true;
  EarlierLaunches earlier_launches_;
  std::vector<EarlierAgent> earlier_agents_;
  int64_t earlier_ranks_ = 2;
  std::vector<std::pair<WorkerId, cluster::Body>> early_messages_;  // before the job is checked

  std::unique_ptr<JobRun> run_;
  std::vector<WorkerId> agents_;
  Effects effects_;
  std::map<NodeId, jobs::StageState> states_;
  int64_t now_ms_ = 1000;

 private:
  void Take(Effects effects) {
    for (Effect& effect : effects) {
      if (const auto* move = std::get_if<effect::MoveStage>(&effect)) {
        EXPECT_TRUE(jobs::CanMove(StateOf(move->stage), move->state)) << Label(move->stage);
        states_[move->stage] = move->state;
      }
      effects_.push_back(std::move(effect));
    }
  }
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_TESTS_COORDINATOR_RUN_FIXTURE_H_
