// What must hold of leases, among all jobs.
#include <algorithm>

#include "tests/simulation/checker.h"
#include "tests/simulation/world.h"

namespace halcyon::simulation {

void Checker::OnMayTake(const std::string& dir, const std::string& who,
                        const storage::LeaseView& view) {
  // Who owns a job now knows that the job's earlier coordinator has lost it.
  const bool knows = dir.starts_with("claim/") && view.holder.who == who;
  const bool is_held =
      view.number != 0 && !view.has_ended && !knows && world_->IsRunning(view.holder.process.pid);
  const int64_t still_ms = world_->time.now_ms() - taken_[dir].beat_ms;
  if (is_held && still_ms < storage::kLeaseTimeMs) {
    Violated(dir + ": " + who + " may take the lease of " + view.holder.ToString() +
             ", whose last beat came " + std::to_string(still_ms) + " ms before");
  }
}

void Checker::OnLeaseTaken(const std::string& dir, uint64_t number) {
  Taken& taken = taken_[dir];
  if (!taken.made_ms.empty() && number <= taken.made_ms.rbegin()->first) {
    Violated(dir + ": lease " + std::to_string(number) + " comes after " +
             std::to_string(taken.made_ms.rbegin()->first));
  }
  taken.made_ms[number] = taken.beat_ms = world_->time.now_ms();
}

void Checker::OnBeat(const std::string& dir) { taken_[dir].beat_ms = world_->time.now_ms(); }

void Checker::OnWait(const std::string& dir, const std::string& who,
                     const storage::LeaseHolder& holder) {
  const storage::LeaseView now = world_->disk.LookAtLease(dir);
  if (holder.who.empty()) {
    Violated(dir + ": " + who + " waits for nobody");
  } else if (!now.holder.IsSameProcess(holder)) {
    Violated(dir + ": " + who + " waits for " + holder.ToString() + ", who has lost it");
  }
}

void Checker::OnFound(const Service& service, const coordinator::event::StageFound& found) {
  Run& run = RunOf(service);
  if (!IsMadeBy(service, found.stage)) return;  // only looked for
  run.waits_for.erase(found.stage);
  // The job ends, as soon as its processes have.
  run.is_ending = run.is_ending || !found.found.ok();
  if (!found.found.ok() || found.found->is_made || found.found->claim != 0) return;
  // It waits for another stage of its job, which makes the same or waits for the same.
  const bool is_behind =
      std::any_of(run.waits_for.begin(), run.waits_for.end(), [&](const auto& other) {
        return Fingerprint(service, other.first) == found.found->fingerprint;
      });
  if (is_behind || found.found->busy_with == service.Name()) return;
  run.waits_for[found.stage] = found.found->busy_with;
}

bool Checker::IsMadeBy(const Service& service, jobs::NodeId stage) const {
  return World::NodesUntil(service.job(), service.until())
      .contains(service.job().graph.node(stage).label);
}

void Checker::CheckWaits() {
  for (const auto& job : world_->jobs) {
    for (const auto& service : job->services()) {
      if (service->incarnation() == 0 || !service->alive()) continue;
      const Run& run = RunOf(*service);
      if (run.is_ending) continue;
      for (const auto& [stage, who] : run.waits_for) {
        const auto note = run.notes.find(stage);
        if (note == run.notes.end() || note->second != "made by " + who) {
          Violated(job->graph.node(stage).label + " waits, and does not say for " + who);
        }
      }
    }
  }
}

}  // namespace halcyon::simulation
