#include "tests/simulation/lease.h"

#include <utility>

#include "tests/simulation/world.h"

namespace halcyon::simulation {
namespace {

// What kClaimTakenTooEarly waits instead of the lease time.
constexpr int64_t kTooShortMs = 3000;

}  // namespace

void Lease::See() {
  storage::LeaseView view = world_->disk.LookAtLease(dir_);
  if (view.number != 0) view.presence = world_->PresenceOf(view.holder, self_);
  const bool is_early = world_->bug == PlantedBug::kClaimTakenTooEarly;
  const int64_t now_ms = world_->time.now_ms();
  watch_.See(std::move(view), is_early ? now_ms * storage::kLeaseTimeMs / kTooShortMs : now_ms);
}

bool Lease::Look(uint64_t above) {
  above_ = above;
  See();
  if (watch_.MayTake()) {
    world_->checker.OnMayTake(dir_, self_.who, watch_.seen());
    return true;
  }
  world_->checker.OnWait(dir_, self_.who, holder());
  return false;
}

bool Lease::Make() {
  uint64_t number = watch_.NextNumber(above_);
  const PlantedBug bug =
      dir_.starts_with("owner/") ? PlantedBug::kIncarnationNotRaised : PlantedBug::kClaimNotRaised;
  const bool keeps_number = world_->bug == bug && watch_.seen().number > 0;
  if (keeps_number) world_->disk.leases[dir_].erase(number = watch_.seen().number);
  const bool is_made = world_->disk.LinkLease(dir_, number, self_);
  See();
  if (is_made && watch_.seen().number == number) {
    number_ = number;
    world_->checker.OnLeaseTaken(dir_, number);
    return true;
  }
  world_->checker.OnWait(dir_, self_.who, holder());
  return false;
}

absl::Status Lease::Check() const {
  if (world_->bug == PlantedBug::kTakeoverNotNoticed) return absl::OkStatus();
  const storage::LeaseView view = world_->disk.LookAtLease(dir_);
  if (view.number == number_) return absl::OkStatus();
  return Aborted("taken over by " + view.holder.ToString());
}

absl::Status Lease::Renew() {
  RETURN_IF_ERROR(Check());
  RETURN_IF_ERROR(world_->disk.Room());
  const auto file = world_->disk.leases[dir_].find(number_);
  if (file != world_->disk.leases[dir_].end()) ++file->second.beats;
  world_->checker.OnBeat(dir_);
  return absl::OkStatus();
}

void Lease::GiveUp() {
  const auto file = world_->disk.leases[dir_].find(number_);
  const bool is_there = is_held() && file != world_->disk.leases[dir_].end();
  if (is_there && Check().ok() && world_->disk.Room().ok()) file->second.has_ended = true;
  number_ = 0;
}

}  // namespace halcyon::simulation
