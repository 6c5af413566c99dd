#include "cluster/restatement.h"

#include <algorithm>

namespace halcyon::cluster {
namespace {

// The fence of the lease that the message ends.
std::optional<uint64_t> FenceOfResult(const Body& body) {
  if (const auto* done = std::get_if<TaskDone>(&body)) return done->fence;
  if (const auto* failed = std::get_if<TaskFailed>(&body)) return failed->fence;
  return std::nullopt;
}

}  // namespace

void Restatement::OnSent(const Body& body) {
  if (const auto* hello = std::get_if<Hello>(&body)) hello_ = *hello;
  if (const auto* ready = std::get_if<Ready>(&body)) ready_ = *ready;
  if (!lease_ || FenceOfResult(body) != lease_->fence) return;
  if (const auto* done = std::get_if<TaskDone>(&body)) lease_->done = *done;
  lease_->has_failed = !lease_->done;
}

void Restatement::OnReceived(const Body& body) {
  if (const auto* lease = std::get_if<cluster::Lease>(&body)) {
    lease_ = {.task = lease->task,
              .stage = lease->assignment.stage,
              .fingerprint = lease->assignment.fingerprint,
              .fence = lease->fence};
    ready_.reset();
  }
  const auto* welcome = std::get_if<Welcome>(&body);
  if (welcome == nullptr || welcome->assignment.stage.empty() || !hello_) return;
  hello_->stage = welcome->assignment.stage;
  hello_->fingerprint = welcome->assignment.fingerprint;
  hello_->claim = welcome->assignment.claim;
  hello_->launch = welcome->assignment.launch;
}

std::vector<Body> Restatement::Compose(const std::vector<Body>& unacknowledged) const {
  if (!hello_) return {};
  std::vector<Body> bodies = {*hello_};
  bool states_lease = lease_ && !lease_->has_failed;
  for (const Body& body : unacknowledged) {
    const std::optional<uint64_t> fence = FenceOfResult(body);
    if (!fence && !std::holds_alternative<RankEnded>(body)) continue;
    const bool is_of_lease = lease_ && fence == lease_->fence;
    states_lease = states_lease || is_of_lease;
    if (!is_of_lease || !lease_->done) bodies.push_back(body);
  }
  if (lease_ && lease_->done) bodies.push_back(*lease_->done);
  if (states_lease) {
    auto& hello = std::get<Hello>(bodies.front());
    hello.stage = lease_->stage;
    hello.fingerprint = lease_->fingerprint;
    hello.task = lease_->task;
    hello.fence = lease_->fence;
  }
  if (ready_) bodies.push_back(*ready_);
  return bodies;
}

}  // namespace halcyon::cluster
