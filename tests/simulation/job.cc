#include "tests/simulation/job.h"

#include <algorithm>

#include "tests/simulation/service.h"
#include "tests/simulation/world.h"

namespace halcyon::simulation {
namespace {

// Of coordinator/submit/slurm_script.cc.
constexpr int kScriptRestartsMax = 5;
// What was begun before the faults ended has ended by then.
constexpr int64_t kSettleMs = 60'000;

}  // namespace

Job::Job(World* world, size_t number, const JobScenario& job)
    : scenario(job),
      graph(scenario.variants),
      world_(world),
      number_(number),
      name_(1, static_cast<char>('a' + number)) {}

std::string Job::prefix() const { return world_->scenario.jobs.size() > 1 ? name_ + ": " : ""; }

void Job::Begin() {
  if (scenario.in_slurm) return BeginAllocation();
  StartSomewhere();
}

std::optional<jobs::StageKind> Job::ChooseUntil() {
  if (!scenario.until || made_part_ || world_->random.Chance(0.5)) return std::nullopt;
  return scenario.until;
}

std::shared_ptr<Service> Job::Present() const {
  std::shared_ptr<Service> newest;
  for (const auto& service : services_) {
    if (!service->alive() || service->incarnation() == 0) continue;
    if (!newest || service->incarnation() >= newest->incarnation()) newest = service;
  }
  return newest;
}

std::shared_ptr<Service> Job::Of(uint64_t incarnation) const {
  for (auto it = services_.rbegin(); it != services_.rend(); ++it) {
    if ((*it)->alive() && (*it)->incarnation() == incarnation) return *it;
  }
  return nullptr;
}

void Job::ToWorker(const WorkerId& id, uint64_t incarnation, const cluster::Message& message) {
  for (const auto& worker : world_->workers) {
    if (worker->alive() && &worker->job() == this && worker->id() == id &&
        worker->incarnation() == incarnation) {
      return worker->Deliver(message);
    }
  }
}

std::vector<size_t> Job::Hosts() const {
  if (allocation_) return allocation_->hosts;
  std::vector<size_t> all(world_->hosts.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

// --- the coordinator's process ---

void Job::StartCoordinator(size_t host) {
  services_.push_back(std::make_shared<Service>(this, host));
  services_.back()->Start();
}

void Job::StartSomewhere() {
  const std::vector<size_t> up = world_->HostsUp();
  if (up.empty()) return world_->time.After(1000, [this] { StartSomewhere(); });
  StartCoordinator(world_->random.Of(up));
}

void Job::Remove(const Service* service) {
  std::erase_if(services_, [&](const auto& one) { return one.get() == service; });
  world_->ForgetDead();
}

void Job::EndWorkersOf(const Service& service, bool may_stay) {
  const std::vector<std::shared_ptr<Worker>> workers = world_->workers;
  for (const auto& worker : workers) {
    if (&worker->job() != this || worker->incarnation() != service.incarnation()) continue;
    if (may_stay && world_->scenario.orphan_grace_ms > 0) continue;
    // Those elsewhere end when their coordinator is silent.
    if (may_stay && (worker->host() != service.host() || world_->Lingers())) continue;
    worker->End("its coordinator has ended");
  }
}

void Job::Ended(Service* ended, const absl::Status& how, bool has_left) {
  world_->Note(prefix() + "the run ends: " + how.ToString());
  const int64_t faults_end_ms = world_->scenario.faults_end_ms;
  const bool has_faults = faults_end_ms > 0 && ended->began_ms() < faults_end_ms + kSettleMs;
  if (!how.ok() && !has_faults) {
    world_->checker.Violated("a run without faults fails: " + how.ToString());
  }
  if (how.ok() && ended->until()) {
    made_part_ = true;
    world_->CheckMade(*this, ended->until());
  }
  const bool is_whole = how.ok() && !ended->until();
  world_->time.After(0, [this, service = ended->Self(), is_whole, has_left] {
    if (!has_left) EndWorkersOf(*service, /*may_stay=*/false);
    Remove(service.get());
    is_done_ = is_done_ || is_whole;
    if (is_done_ || !services_.empty()) return;
    if (allocation_) return EndAllocation(allocation_, "the script has ended");
    world_->time.After(world_->random.Between(100, 5000), [this] {
      if (services_.empty()) StartSomewhere();
    });
  });
}

// --- faults ---

void Job::CrashCoordinator() {
  if (services_.empty()) return;
  const std::shared_ptr<Service> service = world_->random.Of(services_);
  world_->Note(prefix() + "fault: the coordinator is killed");
  service->Crash();
  EndWorkersOf(*service, /*may_stay=*/true);
  Remove(service.get());
  if (!scenario.in_slurm) {
    return world_->time.After(world_->random.Between(100, 10'000), [this] {
      if (services_.empty() && !is_done_) StartSomewhere();
    });
  }
  const std::shared_ptr<Allocation> allocation = allocation_;
  if (allocation == nullptr) return;
  if (allocation->is_stopping || ++allocation->restarts > kScriptRestartsMax) {
    return EndAllocation(allocation, "its script gives up");
  }
  world_->time.After(1000, [this, allocation, host = service->host()] {
    if (allocation_ == allocation) StartCoordinator(host);
  });
}

void Job::RunTwice() {
  if (scenario.in_slurm || is_done_ || services_.size() != 1) return;
  world_->Note(prefix() + "fault: it is run a second time");
  StartSomewhere();
}

void Job::Preempt() {
  if (allocation_ == nullptr) return;
  world_->Note(prefix() + "fault: its allocation is preempted");
  SignalScript();
  const int64_t grace_ms = world_->random.Between(0, 30'000);
  world_->time.After(grace_ms, [this, allocation = allocation_] {
    EndAllocation(allocation, "it was preempted");
  });
}

void Job::LoseHost(size_t host) {
  bool had_coordinator = false;
  for (const auto& service : std::vector(services_)) {
    if (service->host() != host) continue;
    service->Crash();
    Remove(service.get());
    had_coordinator = true;
  }
  if (allocation_) {
    const std::vector<size_t>& hosts = allocation_->hosts;
    if (std::find(hosts.begin(), hosts.end(), host) == hosts.end()) return;
    // Until the controller notices that the node does not answer.
    world_->time.After(world_->random.Between(0, 30'000), [this, allocation = allocation_] {
      EndAllocation(allocation, "a node of it has failed");
    });
  } else if (had_coordinator && !scenario.in_slurm) {
    world_->time.After(world_->random.Between(100, 10'000), [this] {
      if (services_.empty() && !is_done_) StartSomewhere();
    });
  }
}

// --- Slurm ---

void Job::BeginAllocation() {
  std::vector<size_t> hosts = world_->HostsUp();
  if (hosts.empty()) return world_->time.After(1000, [this] { BeginAllocation(); });
  const auto wanted = static_cast<size_t>(world_->random.Between(1, world_->scenario.hosts));
  while (hosts.size() > wanted) std::erase(hosts, world_->random.Of(hosts));
  allocation_ = std::make_shared<Allocation>();
  allocation_->hosts = hosts;
  world_->Note(prefix() + "an allocation of " + std::to_string(hosts.size()) + " hosts begins");
  if (world_->Fails(0.7)) {
    const int64_t now_ms = world_->time.now_ms();
    const int64_t end_ms = allocation_->end_ms = now_ms + world_->random.Between(20'000, 90'000);
    const auto at = [this, allocation = allocation_](int64_t time_ms, auto action) {
      world_->time.At(time_ms, [this, allocation, action] {
        if (allocation_ == allocation) action();
      });
    };
    at(end_ms - 5000, [this] { SignalScript(); });
    at(end_ms, [this] { SignalScript(); });
    at(end_ms + world_->random.Between(0, 30'000),
       [this] { EndAllocation(allocation_, "its time is up"); });
  }
  StartCoordinator(hosts.front());
}

void Job::SignalScript() {
  allocation_->is_stopping = true;
  for (const auto& service : services_) service->RequestStop();
}

void Job::EndAllocation(const std::shared_ptr<Allocation>& allocation, const std::string& why) {
  if (allocation == nullptr || allocation_ != allocation) return;
  world_->Note(prefix() + "the allocation ends: " + why);
  for (const auto& service : std::vector(services_)) {
    service->Crash();
    Remove(service.get());
  }
  for (const auto& worker : std::vector(world_->workers)) {
    if (&worker->job() == this && !world_->Lingers()) worker->End("its allocation ends");
  }
  allocation_ = nullptr;
  world_->time.After(world_->random.Between(100, 15'000), [this] {
    if (!is_done_ && allocation_ == nullptr) BeginAllocation();
  });
}

}  // namespace halcyon::simulation
