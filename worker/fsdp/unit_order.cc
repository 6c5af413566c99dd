#include "worker/fsdp/unit_order.h"

namespace halcyon::worker {

void UnitOrder::BeginPass() {
  pass_.clear();
  follows_ = recorded_.has_value();
}

std::optional<UnitOrder::Use> UnitOrder::Next(const Use& use) {
  const size_t place = pass_.size();
  pass_.push_back(use);
  if (!follows_) return std::nullopt;
  if (place >= recorded_->size() || (*recorded_)[place] != use) {
    follows_ = false;
    return std::nullopt;
  }
  if (place + 1 == recorded_->size()) return std::nullopt;
  return (*recorded_)[place + 1];
}

void UnitOrder::EndPass() {
  if (!follows_ || pass_.size() != recorded_->size()) recorded_ = pass_;
}

bool UnitOrder::TurnsAt(size_t unit) const {
  if (!recorded_) return false;
  for (size_t i = 1; i < recorded_->size(); ++i) {
    if ((*recorded_)[i].phase != Phase::kBackward) continue;
    return (*recorded_)[i].unit == unit && (*recorded_)[i - 1].unit == unit;
  }
  return false;
}

}  // namespace halcyon::worker
