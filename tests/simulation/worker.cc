#include "tests/simulation/worker.h"

#include <algorithm>
#include <utility>

#include "cluster/coordinator_link.h"
#include "cluster/pause_detector.h"
#include "tests/simulation/job.h"
#include "tests/simulation/service.h"
#include "tests/simulation/world.h"

namespace halcyon::simulation {

Worker::Worker(Job* job, WorkerId id, uint64_t incarnation, size_t host)
    : Process(&job->world().time, host),
      job_(job),
      world_(&job->world()),
      id_(std::move(id)),
      incarnation_(incarnation) {}

std::string Worker::Name() const {
  return job_->prefix() + id_.name + ":" + std::to_string(id_.incarnation) + " of " +
         std::to_string(incarnation_);
}

int64_t Worker::ArrivalMs(Direction* direction) const {
  Random& random = world_->random;
  const int64_t now_ms = world_->time.now_ms();
  const bool hostile = world_->scenario.hostile_network && !world_->faults_are_over();
  int64_t arrival_ms =
      std::max(now_ms, direction->held_until_ms) + random.Between(0, random.Chance(0.05) ? 300 : 5);
  if (hostile && random.Chance(0.1)) return arrival_ms + random.Between(0, 1000);
  arrival_ms = std::max(arrival_ms, direction->last_arrival_ms);
  direction->last_arrival_ms = arrival_ms;
  return arrival_ms;
}

int Worker::Copies() const {
  if (!world_->scenario.hostile_network || world_->faults_are_over()) return 1;
  if (world_->random.Chance(0.03)) return 0;
  return world_->random.Chance(0.05) ? 2 : 1;
}

void Worker::Send(cluster::Body body) {
  restatement_.OnSent(body);
  stream_.Queue(std::move(body));
  SendDue();
}

void Worker::SendDue() {
  while (const cluster::ReliableStream::Outgoing* due = stream_.Due()) {
    cluster::Message message;
    message.body = due->body;
    message.sequence = due->sequence;
    stream_.Sent(world_->time.now_ms());
    Carry(message);
  }
}

void Worker::Carry(const cluster::Message& sent) {
  cluster::Message message = sent;
  message.worker = id_;
  message.incarnation = Incarnation(incarnation_);
  message.acknowledged = stream_.received();
  for (int copies = Copies(); copies > 0; --copies) {
    const bool held = up_.held_until_ms > world_->time.now_ms();
    const auto self = std::static_pointer_cast<Worker>(shared_from_this());
    world_->time.At(ArrivalMs(&up_), [self, held, message] {
      // What a cut connection holds back lies in its sender.
      if (held && !self->alive()) return;
      const auto service = self->job_->Of(message.incarnation.value());
      if (service) service->Deliver(message);
    });
  }
}

void Worker::Deliver(const cluster::Message& message) {
  for (int copies = Copies(); copies > 0; --copies) {
    const int64_t delay_ms = ArrivalMs(&down_) - world_->time.now_ms();
    Later(delay_ms, [this, message, incarnation = incarnation_] {
      if (incarnation != incarnation_) return;  // of the coordinator before
      heard_ms_ = world_->time.now_ms();
      if (!stream_.Accept(message, world_->time.now_ms())) return;
      SendDue();
      restatement_.OnReceived(message.body);
      const auto* stop = std::get_if<cluster::Stop>(&message.body);
      if (stop != nullptr && stop->end_now) return End("told to end at once");
      if (!std::holds_alternative<cluster::CoordinatorAlive>(message.body)) OnMessage(message.body);
    });
  }
}

void Worker::End(const std::string& why) {
  if (!alive()) return;
  world_->Note(Name() + " ends: " + why);
  Die();
  OnEnd();
}

void Worker::Vanish() {
  Die();
  has_vanished_ = true;
}

void Worker::CutUntil(int64_t time_ms, bool up, bool down) {
  if (up) up_.held_until_ms = time_ms;
  if (down) down_.held_until_ms = time_ms;
}

void Worker::BeginHeartbeats() {
  heard_ms_ = turned_ms_ = advanced_ms_ = world_->time.now_ms();
  Turn();
}

// A worker without a coordinator looks for the next one: true while it may go on.
bool Worker::Reconnect() {
  const int64_t silence_ms = world_->time.now_ms() - heard_ms_;
  if (silence_ms >= world_->scenario.orphan_grace_ms) return false;
  const auto service = job_->Present();
  if (service == nullptr || service->incarnation() <= incarnation_) return true;
  if (!MayBeAdoptedBy(*service)) return false;
  incarnation_ = service->incarnation();
  heard_ms_ = world_->time.now_ms();
  world_->Note(Name() + " connects to the next coordinator");
  const std::vector<cluster::Body> bodies = restatement_.Compose(stream_.Unacknowledged());
  stream_ = cluster::ReliableStream();
  for (const cluster::Body& body : bodies) stream_.Queue(body);
  SendDue();
  return true;
}

void Worker::Advance() {
  ++advances_;
  advanced_ms_ = world_->time.now_ms();
}

void Worker::Turn() {
  const int64_t now_ms = world_->time.now_ms();
  if (now_ms - turned_ms_ >= cluster::kHeartbeatIntervalMs + cluster::kPauseMsMin) {
    heard_ms_ = now_ms;
    advanced_ms_ = now_ms;
  }
  turned_ms_ = now_ms;
  if (now_ms - heard_ms_ >= cluster::kHeartbeatTimeoutMs && !Reconnect()) {
    return End("no message from the coordinator");
  }
  cluster::Activity activity = Doing();
  activity.advances = advances_;
  activity.age_ms = now_ms - advanced_ms_;
  cluster::Message heartbeat;
  heartbeat.body = cluster::Alive{std::move(activity)};
  Carry(heartbeat);
  Later(cluster::kHeartbeatIntervalMs, [this] { Turn(); });
}

}  // namespace halcyon::simulation
