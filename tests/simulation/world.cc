#include "tests/simulation/world.h"

#include <algorithm>

namespace halcyon::simulation {
namespace {

// From the last fault on, for each job: a gang may need two minutes to be given up, and a run that
// failed is started again.
constexpr int64_t kQuietMsMax = 900'000;
// From the end of the last job on: what an earlier coordinator has left ends by itself.
constexpr int64_t kLeftMsMax = 120'000;

}  // namespace

World::World(uint64_t seed, PlantedBug planted, bool prints)
    : random(seed), scenario(ScenarioOf(&random)), bug(planted), trace(prints), checker(this) {
  for (int64_t i = 0; i < scenario.hosts; ++i) hosts.push_back({"n" + std::to_string(i)});
  for (size_t i = 0; i < scenario.jobs.size(); ++i) {
    jobs.push_back(std::make_unique<Job>(this, i, scenario.jobs[i]));
  }
}

bool World::AllDone() const {
  return std::all_of(jobs.begin(), jobs.end(),
                     [](const auto& job) { return job->is_done() && job->services().empty(); });
}

Result World::Run() {
  for (const auto& job : jobs) {
    time.At(job->number() == 0 ? 0 : random.Between(0, 30'000), [&job] { job->Begin(); });
  }
  if (scenario.faults_end_ms > 0) {
    ScheduleFault();
    time.At(scenario.faults_end_ms, [this] { EndFaults(); });
  }
  const int64_t deadline_ms =
      scenario.faults_end_ms + kQuietMsMax * static_cast<int64_t>(jobs.size());
  while (!AllDone() && checker.violation().empty() && time.RunNext()) {
    ++events_;
    checker.Check();
    if (time.now_ms() > deadline_ms) checker.Violated("a job makes no progress without faults");
  }
  if (!AllDone()) checker.Violated("nothing happens any more, and a job is not done");
  CheckEnd();
  return {.violation = checker.violation(),
          .trace = trace.Last(),
          .scenario = scenario.name,
          .events = events_,
          .coordinators = processes_.size(),
          .duration_ms = time.now_ms()};
}

std::set<std::string> World::NodesUntil(const Job& job,
                                        const std::optional<jobs::StageKind>& until) {
  std::set<std::string> labels;
  for (size_t i = 0; i < job.graph.size(); ++i) {
    const jobs::StageNode& node = job.graph.node(jobs::NodeId(i));
    if (until && node.kind != *until) continue;
    labels.insert(node.label);
    for (const jobs::NodeId input : job.graph.AncestorsOf(jobs::NodeId(i))) {
      labels.insert(job.graph.node(input).label);
    }
  }
  return labels;
}

void World::CheckMade(const Job& job, const std::optional<jobs::StageKind>& until) {
  const std::set<std::string> labels = NodesUntil(job, until);
  for (const jobs::StageNode& node : job.graph.nodes()) {
    const bool is_made = disk.artifacts.contains(FingerprintOf(scenario, node));
    if (labels.contains(node.label) && !is_made) {
      checker.Violated("job " + job.name() + " is done without " + node.label);
    }
  }
}

void World::CheckEnd() {
  for (const auto& job : jobs) CheckMade(*job, std::nullopt);
  const int64_t end_ms = std::max(time.now_ms(), scenario.faults_end_ms) + kLeftMsMax;
  while (checker.violation().empty() && time.now_ms() < end_ms && time.RunNext()) checker.Check();
  for (const auto& worker : workers) {
    if (worker->alive()) checker.Violated(worker->Name() + " is left running");
  }
}

std::vector<size_t> World::HostsUp() const {
  std::vector<size_t> up;
  for (size_t i = 0; i < hosts.size(); ++i) {
    if (hosts[i].is_up) up.push_back(i);
  }
  return up;
}

storage::LeaseHolder World::Register(const std::shared_ptr<Process>& process,
                                     const std::string& who) {
  const auto pid = static_cast<pid_t>(processes_.size() + 1);
  processes_[pid] = process;
  storage::LeaseHolder holder;
  holder.host = hosts[process->host()].name;
  holder.boot_id = std::to_string(hosts[process->host()].boots);
  holder.process = {pid, 1};
  holder.who = who;
  return holder;
}

storage::Presence World::PresenceOf(const storage::LeaseHolder& other,
                                    const storage::LeaseHolder& observer) const {
  if (other.host != observer.host || other.boot_id != observer.boot_id) {
    return storage::Presence::kElsewhere;
  }
  return IsRunning(other.process.pid) ? storage::Presence::kRuns : storage::Presence::kGone;
}

bool World::IsRunning(int64_t pid) const {
  const auto process = processes_.find(pid);
  if (process == processes_.end()) return false;
  const auto alive = process->second.lock();
  return alive != nullptr && alive->alive();
}

void World::ForgetDead() {
  std::erase_if(workers, [](const auto& worker) { return !worker->alive(); });
  std::erase_if(gangs, [](const auto& gang) { return !gang->any_alive(); });
}

}  // namespace halcyon::simulation
