#include "model/sampling/counted_choice.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include "base/check.h"

namespace halcyon::model {
namespace {

// Decoding so few draws to the end costs no more than decoding one token of each.
constexpr size_t kFewDraws = 16;

using Group = std::vector<int64_t>;  // draws in ascending order that agree as far as is known

double LogChoose(double count, double size) {
  return std::lgamma(count + 1) - std::lgamma(size + 1) - std::lgamma(count - size + 1);
}

bool HaveOneSource(const Draws& draws, const Group& group) {
  return std::all_of(group.begin(), group.end(), [&](int64_t draw) {
    return draws.Source(draw) == draws.Source(group.front());
  });
}

// The values that occur more than `others` times, in the order of their first draws. Groups are
// split token by token, and dropped as soon as they are too small.
std::vector<Group> FrequentValues(const Draws& draws, int64_t count, double others, Needs* needs) {
  if (static_cast<double>(count) <= others) return {};
  std::vector<Group> groups(1, Group(count)), values;
  std::iota(groups[0].begin(), groups[0].end(), 0);
  for (int64_t position = 0; position < draws.chunk_size(); ++position) {
    std::vector<Group> split;
    for (const Group& group : groups) {
      if (HaveOneSource(draws, group)) {
        values.push_back(group);
        continue;
      }
      std::map<int64_t, Group> by_token;
      for (const int64_t draw : group) {
        const auto known = draws.Known(draw);
        if (static_cast<int64_t>(known.size()) > position) {
          by_token[known[position]].push_back(draw);
        } else if (draws.Source(draw) == draw) {
          needs->Want(draws, draw, position + 1);
        }
      }
      for (auto& [token, part] : by_token) {
        if (static_cast<double>(part.size()) > others) split.push_back(std::move(part));
      }
    }
    if (!needs->empty()) {
      const bool are_few = needs->tokens.size() <= kFewDraws;
      for (Needs::Tokens& wish : needs->tokens)
        wish.count = are_few ? draws.chunk_size() : wish.count;
      return {};
    }
    groups = std::move(split);
  }
  values.insert(values.end(), groups.begin(), groups.end());
  std::sort(values.begin(), values.end());
  return values;
}

int64_t PickByWeight(const std::vector<Group>& values, double size, double uniform) {
  std::vector<double> weights;
  for (const Group& value : values) {
    weights.push_back(LogChoose(static_cast<double>(value.size()), size));
  }
  const double most = *std::max_element(weights.begin(), weights.end());
  double total = 0;
  for (double& weight : weights) total += weight = std::exp(weight - most);
  double left = uniform * total;
  size_t chosen = 0;
  while (chosen + 1 < weights.size() && left >= weights[chosen]) left -= weights[chosen++];
  return values[chosen].front();
}

}  // namespace

std::optional<int64_t> ChooseByCounts(const Draws& draws, int64_t count, double inverse,
                                      double uniform, Needs* needs) {
  HALCYON_CHECK(count >= 1 && count <= draws.count() && inverse > 0);
  for (double size = inverse; size > 0; size -= 1) {
    int64_t chosen = -1;
    if (size == 1) {
      // Every draw weighs the same: no need to know which are equal.
      chosen = std::min(count - 1, static_cast<int64_t>(uniform * static_cast<double>(count)));
    } else {
      const std::vector<Group> values = FrequentValues(draws, count, size - 1, needs);
      if (!needs->empty()) return std::nullopt;
      if (values.empty()) continue;
      chosen = PickByWeight(values, size, uniform);
    }
    if (draws.IsWhole(chosen)) return chosen;
    needs->Want(draws, chosen, draws.chunk_size());
    return std::nullopt;
  }
  HALCYON_CHECK(false && "a single draw is a candidate at the last size");
  return std::nullopt;
}

}  // namespace halcyon::model
