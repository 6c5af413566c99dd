#include "model/sampling/batch_temperature.h"

#include <algorithm>

#include "model/sampling/counted_choice.h"

namespace halcyon::model {
namespace {

constexpr int64_t kTrialsAheadMax = 64;

}  // namespace

BatchChooser::BatchChooser(int64_t inverse, int64_t draws, const PhiloxStream& random)
    : inverse_(inverse), draws_max_(draws), random_(random), draw_of_label_(draws, -1) {}

const std::vector<int64_t>& BatchChooser::Trial(int64_t trial) {
  while (static_cast<int64_t>(trials_.size()) <= trial) {
    // Floyd's algorithm for a uniformly random subset: the last label that may be taken replaces
    // one that already is.
    std::vector<int64_t> labels;
    const uint64_t first = trials_.size() * inverse_;
    for (int64_t last = draws_max_ - inverse_; last < draws_max_; ++last) {
      const auto label = static_cast<int64_t>(
          random_.Below(first + labels.size(), static_cast<uint64_t>(last) + 1));
      const bool is_taken = std::find(labels.begin(), labels.end(), label) != labels.end();
      labels.push_back(is_taken ? last : label);
    }
    for (int64_t& label : labels) {
      int64_t& draw = draw_of_label_[label];
      if (draw < 0) draw = labels_used_++;
      label = draw;
    }
    std::sort(labels.begin(), labels.end());
    trials_.push_back(std::move(labels));
  }
  return trials_[trial];
}

// Asks for what this trial and the next ones take: a pass over the networks' weights costs nearly
// the same for one draw as for many.
void BatchChooser::LookAhead(const Draws& draws, Needs* needs) {
  const int64_t chunk_size = draws.chunk_size();
  const int64_t end = std::min(trial_ + trials_ahead_, draws_max_);
  for (int64_t trial = trial_; trial < end; ++trial) {
    const std::vector<int64_t>& members = Trial(trial);
    const bool all_seen = members.back() < draws.count() &&
                          std::all_of(members.begin(), members.end(),
                                      [&](int64_t draw) { return !draws.Known(draw).empty(); });
    if (all_seen && draws.AllEqual(members).has_value()) continue;
    // Members that agree so far need the rest; the first trials assume that from the start.
    const int64_t depth = all_seen || trial < kTrialsWhole ? chunk_size : 1;
    for (const int64_t draw : members) needs->Want(draws, draw, depth);
  }
  trials_ahead_ = std::min(2 * trials_ahead_, kTrialsAheadMax);
}

std::optional<Chooser::Choice> BatchChooser::Advance(const Draws& draws, bool no_more,
                                                     Needs* needs) {
  const bool has_all = draws.count() >= draws_max_;
  // With fewer draws than N there are subsets that cannot be tried.
  while (trial_ < draws_max_ && inverse_ <= draws_max_ && (has_all || !no_more)) {
    const std::vector<int64_t>& members = Trial(trial_);
    std::optional<bool> equal = inverse_ == 1 ? std::optional(true) : std::nullopt;
    if (members.back() < draws.count()) equal = draws.AllEqual(members);
    if (equal == false) {
      ++trial_;
      continue;
    }
    if (equal == true && members.front() < draws.count() && draws.IsWhole(members.front())) {
      return Choice{members.front(), labels_used_, false};
    }
    if (equal == true) {
      needs->Want(draws, members.front(), draws.chunk_size());
    } else {
      LookAhead(draws, needs);
    }
    return std::nullopt;
  }
  if (!has_all && !no_more) {
    needs->draws = draws_max_;
    return std::nullopt;
  }
  const int64_t count = std::min(draws_max_, draws.count());
  const auto chosen =
      ChooseByCounts(draws, count, static_cast<double>(inverse_),
                     random_.Uniform(static_cast<uint64_t>(draws_max_ * inverse_)), needs);
  if (!chosen.has_value()) return std::nullopt;
  return Choice{*chosen, count, false};
}

}  // namespace halcyon::model
