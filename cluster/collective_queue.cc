#include "cluster/collective_queue.h"

#include <utility>

#include "base/check.h"

namespace halcyon::cluster {
namespace {

HostGroup& Choose(HostGroups& groups, Group group) {
  HostGroup* chosen = group == Group::kAll    ? groups.all.get()
                      : group == Group::kNode ? groups.node.get()
                                              : groups.across_nodes.get();
  HALCYON_CHECK(chosen != nullptr);
  return *chosen;
}

}  // namespace

class CollectiveQueue::WaitForStarted : public Pending::State {
 public:
  WaitForStarted(CollectiveQueue* queue, std::shared_ptr<Started> started)
      : queue_(queue), started_(std::move(started)) {}
  absl::Status Wait() override { return queue_->WaitFor(*started_); }

 private:
  CollectiveQueue* queue_;
  std::shared_ptr<Started> started_;
};

absl::StatusOr<std::unique_ptr<Collectives>> CollectiveQueue::Start(MakeGroups make_groups,
                                                                    const QueueOptions& options) {
  std::unique_ptr<CollectiveQueue> queue(new CollectiveQueue(options));
  CollectiveQueue& self = *queue;
  self.thread_.emplace([&self, make_groups = std::move(make_groups)] { self.Run(make_groups); });
  {
    const MutexLock lock(&self.mutex_);
    self.changed_.Wait(&self.mutex_, [&self]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(self.mutex_) {
      return self.made_.has_value();
    });
    RETURN_IF_ERROR(*self.made_);
  }
  return queue;
}

CollectiveQueue::~CollectiveQueue() {
  const MutexLock lock(&mutex_);
  closing_ = true;
  changed_.NotifyAll();
}

void CollectiveQueue::Run(MakeGroups make_groups) {
  absl::StatusOr<HostGroups> groups = make_groups();
  if (groups.ok()) {
    HALCYON_CHECK(groups->all != nullptr && groups->node != nullptr);
    places_[0] = {groups->all->rank(), groups->all->size()};
    places_[1] = {groups->node->rank(), groups->node->size()};
    if (groups->across_nodes != nullptr) {
      places_[2] = {groups->across_nodes->rank(), groups->across_nodes->size()};
    }
    for (HostGroup* group : {groups->all.get(), groups->node.get(), groups->across_nodes.get()}) {
      if (group != nullptr) group->set_wait_check([this] { return CheckWait(); });
    }
  }
  {
    const MutexLock lock(&mutex_);
    made_ = groups.status();
    changed_.NotifyAll();
  }
  if (groups.ok()) RunStarted(*groups);
}

std::shared_ptr<CollectiveQueue::Started> CollectiveQueue::TakeNext() {
  const MutexLock lock(&mutex_);
  changed_.Wait(&mutex_, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closing_ || !queue_.empty();
  });
  return queue_.empty() ? nullptr : queue_.front();
}

void CollectiveQueue::RunStarted(HostGroups& groups) {
  while (const std::shared_ptr<Started> started = TakeNext()) {
    absl::Status status;
    {
      const MutexLock lock(&mutex_);
      status = broken_;
    }
    const int64_t began_us = clock_->MonotonicUs();
    if (status.ok()) {
      status = started->run(groups);
      if (!status.ok() && !MessageOf(status).starts_with(started->name)) {
        status = MakeStatus(status.code(), started->name + ": " + MessageOf(status));
      }
    }
    started->run = nullptr;
    Finish(*started, status, began_us);
  }
}

absl::Status CollectiveQueue::CheckWait() {
  const int64_t now_ms = clock_->MonotonicMs();
  const bool paused = pauses_.Turn(now_ms);
  uint64_t slow = 0, overdue = 0;
  {
    const MutexLock lock(&mutex_);
    if (paused) log_.RestartClock(now_ms);
    slow = log_.Overdue(now_ms, NoteAfterMs(options_.timeout_ms));
    overdue = log_.Overdue(now_ms, options_.timeout_ms);
  }
  if (slow != 0 && slow != noted_ && options_.arrivals != nullptr) {
    options_.arrivals->Note(rank(), slow);
    noted_ = slow;
  }
  if (overdue == 0) return absl::OkStatus();
  const std::string whom = WhoIsMissing(options_.arrivals.get(), size(), overdue);
  const MutexLock lock(&mutex_);
  return Unavailable(log_.NotEnded(options_.timeout_ms, whom));
}

void CollectiveQueue::Finish(Started& started, const absl::Status& status, int64_t began_us) {
  const MutexLock lock(&mutex_);
  started.done = true;
  started.status = status;
  broken_.Update(status);
  log_.EndOldest(clock_->MonotonicUs() - began_us, clock_->MonotonicMs());
  const int64_t cpu_us = ThreadCpuUs();
  log_.AddCpu(cpu_us - std::exchange(cpu_us_, cpu_us));
  queue_.pop_front();
  changed_.NotifyAll();
}

std::shared_ptr<CollectiveQueue::Started> CollectiveQueue::Enqueue(
    std::string name, CollectiveLog::Traffic traffic,
    std::function<absl::Status(HostGroups&)> run) {
  auto started = std::make_shared<Started>();
  started->run = std::move(run);
  started->name = name;
  const MutexLock lock(&mutex_);
  changed_.Wait(&mutex_, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return queue_.size() < kStartedMax;
  });
  log_.Start(std::move(name), traffic, clock_->MonotonicMs());
  queue_.push_back(started);
  changed_.NotifyAll();
  return started;
}

absl::Status CollectiveQueue::WaitFor(const Started& started) {
  const MutexLock lock(&mutex_);
  if (!started.done) {
    const int64_t began_us = clock_->MonotonicUs();
    log_.BeginWait();
    changed_.Wait(&mutex_, [&] { return started.done; });
    log_.AddWaited(clock_->MonotonicUs() - began_us);
    log_.EndWait(clock_->MonotonicMs());
  }
  return started.status;
}

Pending CollectiveQueue::AllGather(Group group, ConstBuffer in, Buffer out, std::string_view what) {
  HALCYON_CHECK(out.count == in.count * size_of(group) && in.type == out.type);
  HALCYON_CHECK(in.device.is_host() && out.device.is_host());
  return Pending(std::make_shared<WaitForStarted>(
      this,
      Enqueue(CollectiveName("all-gather", group, what), {in.bytes(), out.bytes() - in.bytes()},
              [=](HostGroups& groups) { return Choose(groups, group).AllGather(in, out); })));
}

Pending CollectiveQueue::ReduceScatterSum(Group group, ConstBuffer in, Buffer out,
                                          std::string_view what) {
  HALCYON_CHECK(in.count == out.count * size_of(group) && out.type == ElementType::kFloat32);
  HALCYON_CHECK(in.device.is_host() && out.device.is_host());
  const std::span<float> sum(static_cast<float*>(out.data), out.count);
  return Pending(std::make_shared<WaitForStarted>(
      this,
      Enqueue(CollectiveName("reduce-scatter", group, what),
              {out.bytes(), in.bytes() - out.count * BytesOf(in.type)}, [=](HostGroups& groups) {
                return Choose(groups, group).ReduceScatterSum(in, sum);
              })));
}

absl::Status CollectiveQueue::AllReduceSum(std::span<double> values) {
  return WaitFor(*Enqueue("all-reduce", {values.size_bytes(), values.size_bytes() * (size() - 1)},
                          [=](HostGroups& groups) { return groups.all->AllReduceSum(values); }));
}

absl::StatusOr<std::vector<std::string>> CollectiveQueue::AllGatherBytes(std::string_view bytes) {
  std::vector<std::string> all;
  // Lengths may differ between ranks, so none enters the digest.
  RETURN_IF_ERROR(WaitFor(*Enqueue("all-gather of bytes", {}, [&](HostGroups& groups) {
    auto gathered = groups.all->AllGatherBytes(bytes);
    RETURN_IF_ERROR(gathered.status());
    all = *std::move(gathered);
    return absl::OkStatus();
  })));
  return all;
}

absl::Status CollectiveQueue::Barrier() {
  return WaitFor(*Enqueue("barrier", {}, [](HostGroups& groups) { return groups.all->Barrier(); }));
}

uint64_t CollectiveQueue::order_digest() const {
  const MutexLock lock(&mutex_);
  return log_.order_digest();
}

CollectiveFigures CollectiveQueue::TakeFigures() {
  const MutexLock lock(&mutex_);
  return log_.TakeFigures();
}

std::string CollectiveQueue::Current() const {
  const MutexLock lock(&mutex_);
  return log_.Current(clock_->MonotonicMs());
}

CollectiveStanding CollectiveQueue::Standing() const {
  const MutexLock lock(&mutex_);
  return log_.Standing();
}

}  // namespace halcyon::cluster
