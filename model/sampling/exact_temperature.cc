#include "model/sampling/exact_temperature.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "model/sampling/counted_choice.h"

namespace halcyon::model {
namespace {

constexpr int64_t kDrawsAheadMax = 64;

}  // namespace

ExactChooser::ExactChooser(double inverse, int64_t draws_max, const PhiloxStream& random)
    : inverse_(inverse),
      run_needed_(static_cast<int64_t>(inverse)),
      fraction_(inverse - std::floor(inverse)),
      draws_max_(draws_max),
      random_(random),
      draws_ahead_(std::max<int64_t>(1, run_needed_ - 1)) {}

void ExactChooser::Restart() {
  run_ = 0;
  turn_ = 1;
}

// Asks for what tells first_ and next_ apart, and for draws after them; see
// BatchChooser::LookAhead.
void ExactChooser::LookAhead(const Draws& draws, int64_t draws_end, Needs* needs) {
  const int64_t chunk_size = draws.chunk_size();
  const bool agree_so_far =
      next_ < draws.count() && !draws.Known(first_).empty() && !draws.Known(next_).empty();
  const int64_t depth = agree_so_far || next_ == 1 ? chunk_size : 1;
  const int64_t end = agree_so_far ? next_ + 1 : std::min(next_ + draws_ahead_, draws_end);
  needs->Want(draws, first_, depth);
  for (int64_t draw = next_; draw < end; ++draw) needs->Want(draws, draw, depth);
  draws_ahead_ = std::min(2 * draws_ahead_, kDrawsAheadMax);
}

std::optional<Chooser::Choice> ExactChooser::Advance(const Draws& draws, bool no_more,
                                                     Needs* needs) {
  const int64_t draws_end = no_more ? std::min(draws_max_, draws.count()) : draws_max_;
  while (true) {
    const bool is_done = run_ == run_needed_ && (fraction_ == 0 || turn_ == 0);
    if (is_done) {
      if (first_ < draws.count() && draws.IsWhole(first_)) return Choice{first_, next_, false};
      needs->Want(draws, first_, draws.chunk_size());
      return std::nullopt;
    }
    if (next_ >= draws_end) break;
    if (run_ == 0) {
      first_ = next_++;
      run_ = 1;
      continue;
    }
    std::optional<bool> equal;
    if (next_ < draws.count()) equal = draws.AllEqual(std::array<int64_t, 2>{first_, next_});
    if (!equal.has_value()) {
      LookAhead(draws, draws_end, needs);
      return std::nullopt;
    }
    ++next_;
    if (run_ < run_needed_) {
      *equal ? static_cast<void>(++run_) : Restart();
    } else if (*equal) {
      turn_ = 0;
    } else if (random_.Uniform(numbers_used_++) < fraction_ / static_cast<double>(turn_++)) {
      Restart();
    }
  }
  if (draws.count() < draws_end) {
    needs->draws = draws_end;
    return std::nullopt;
  }
  // Uniform and the attempts never share a number: those go up from 0, at most one a draw.
  const auto chosen = ChooseByCounts(draws, draws_end, inverse_,
                                     random_.Uniform(static_cast<uint64_t>(draws_max_)), needs);
  if (!chosen.has_value()) return std::nullopt;
  return Choice{*chosen, draws_end, true};
}

}  // namespace halcyon::model
