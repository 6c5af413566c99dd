#include "storage/lease_rules.h"

#include <algorithm>
#include <utility>

namespace halcyon::storage {

std::string LeaseHolder::ToString() const {
  return who + " (pid " + std::to_string(process.pid) + " on " + host + ")";
}

bool LeaseHolder::IsSameProcess(const LeaseHolder& other) const {
  const LocatedProcess& process = *this;
  return process == other;
}

bool LeaseView::IsFree() const { return number == 0 || has_ended || presence == Presence::kGone; }

void LeaseWatch::See(LeaseView view, int64_t now_ms) {
  const bool is_as_before = seen_.number == view.number && seen_.beat == view.beat;
  if (!is_as_before) first_seen_ms_ = now_ms;
  still_ms_ = now_ms - first_seen_ms_;
  seen_ = std::move(view);
}

bool LeaseWatch::MayTake() const {
  if (seen_.IsFree() || (dead_ && seen_.holder.IsSameProcess(*dead_))) return true;
  return seen_.presence == Presence::kElsewhere && still_ms_ >= kLeaseTimeMs;
}

uint64_t LeaseWatch::NextNumber(uint64_t above) const { return std::max(seen_.number, above) + 1; }

}  // namespace halcyon::storage
