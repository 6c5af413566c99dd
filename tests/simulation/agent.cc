#include "tests/simulation/agent.h"

#include "cluster/work_progress.h"
#include "tests/simulation/world.h"

namespace halcyon::simulation {

void Agent::Start() {
  Later(world().random.Between(5, 500), [this] {
    if (world().Fails(world().scenario.spawn_error)) return End("fails before its Hello");
    Send(cluster::Hello{"agent", "", 0, 1, 0, ""});
    BeginHeartbeats();
    Send(cluster::Ready{});
  });
}

void Agent::OnMessage(const cluster::Body& body) {
  if (std::holds_alternative<cluster::Stop>(body)) is_stopping_ = true;
  if (const auto* lease = std::get_if<cluster::Lease>(&body)) leases_.push_back(*lease);
  if (!is_serving_) ServeNext();
}

bool Agent::MayBeAdoptedBy(const Service& service) const { return service.MayAdopt(id()); }

cluster::Activity Agent::Doing() const {
  if (task_.empty()) return {.phase = std::string(NameOf(cluster::WorkPhase::kIdle))};
  return {.phase = std::string(NameOf(cluster::WorkPhase::kTask)), .what = task_};
}

void Agent::ServeNext() {
  is_serving_ = false;
  task_.clear();
  Advance();
  if (is_stopping_) return End("told to stop");
  if (leases_.empty()) return;
  is_serving_ = true;
  const cluster::Lease lease = leases_.front();
  leases_.pop_front();
  task_ = lease.task;
  const int64_t half_ms = world().random.Between(1, world().scenario.task_ms_max);
  Later(half_ms, [this, lease] {
    if (is_hung()) return;
    Advance();
    Send(cluster::TaskProgress{lease.task, lease.fence, 0.5});
  });
  Later(2 * half_ms, [this, lease] { Finish(lease); });
}

void Agent::Finish(const cluster::Lease& lease) {
  if (is_hung()) return;
  absl::Status status = world().disk.Room();
  if (status.ok() && world().Fails(world().scenario.task_error)) {
    status = world().random.Chance(0.1) ? FailedPrecondition("the source has changed")
                                        : Internal("the task failed");
  }
  if (status.ok()) {
    const auto shard = lease.parameters.at("shard").get<uint32_t>();
    world().disk.stages[lease.assignment.fingerprint].shard_files.emplace(shard, lease.fence);
    Send(cluster::TaskDone{lease.task, lease.fence, nlohmann::json::object()});
  } else {
    Send(cluster::TaskFailed{lease.task, lease.fence, static_cast<int>(status.code()),
                             MessageOf(status)});
  }
  Send(cluster::Ready{lease.fence});
  ServeNext();
}

}  // namespace halcyon::simulation
