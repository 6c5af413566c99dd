#include "model/sampling/draws.h"

#include <algorithm>

#include "base/check.h"

namespace halcyon::model {

void Draws::Add() {
  source_.push_back(count());
  known_.emplace_back();
}

void Draws::AddCopyOf(int64_t other) {
  HALCYON_CHECK(other < count());
  source_.push_back(source_[other]);
  known_.emplace_back();
}

void Draws::Learn(int64_t draw, std::span<const int64_t> tokens) {
  std::vector<int64_t>& known = known_[source_[draw]];
  known.insert(known.end(), tokens.begin(), tokens.end());
  HALCYON_CHECK(static_cast<int64_t>(known.size()) <= chunk_size_);
}

std::optional<bool> Draws::AllEqual(std::span<const int64_t> draws) const {
  bool settled = true;
  const std::span<const int64_t> first = Known(draws.front());
  for (const int64_t draw : draws) {
    if (Source(draw) == Source(draws.front())) continue;
    const std::span<const int64_t> known = Known(draw);
    const size_t common = std::min(first.size(), known.size());
    if (!std::equal(first.begin(), first.begin() + common, known.begin())) return false;
    settled = settled && static_cast<int64_t>(common) == chunk_size_;
  }
  if (settled) return true;
  return std::nullopt;
}

void Needs::Want(const Draws& known, int64_t draw, int64_t count) {
  if (draw >= known.count()) {
    draws = std::max(draws, draw + 1);
  } else if (static_cast<int64_t>(known.Known(draw).size()) >= count) {
    return;
  }
  tokens.push_back({draw, count});
}

}  // namespace halcyon::model
