// A sampler over a few values with known probabilities, and the loop that feeds a Chooser from it.
#ifndef HALCYON_TESTS_MODEL_SAMPLING_TOY_SAMPLER_H_
#define HALCYON_TESTS_MODEL_SAMPLING_TOY_SAMPLER_H_

#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "base/philox.h"
#include "model/sampling/temperature.h"

namespace halcyon::model {

// Values are chunks of three tokens that share their beginnings: 0 1 2 | 0 1 3 | 0 4 4 | 1 1 1 ...
inline std::vector<int64_t> ChunkOfValue(int64_t value) {
  if (value == 0) return {0, 1, 2};
  if (value == 1) return {0, 1, 3};
  if (value == 2) return {0, 4, 4};
  return {value, 1, 1};
}

class ToySampler {
 public:
  ToySampler(std::vector<double> probabilities, uint64_t run)
      : probabilities_(std::move(probabilities)),
        random_(7, NoiseStream::kEvaluation, 0, static_cast<uint32_t>(run)) {}
  // Draws that are given, then: one value a letter from 'A' on.
  explicit ToySampler(const std::string& letters) : ToySampler({1.0}, 0) {
    for (const char letter : letters) pool_.push_back(letter - 'A');
  }
  int64_t ValueOf(int64_t draw) const {
    if (!pool_.empty()) return pool_.at(draw);
    double left = random_.Uniform(draw);
    size_t value = 0;
    while (value + 1 < probabilities_.size() && left >= probabilities_[value]) {
      left -= probabilities_[value++];
    }
    return static_cast<int64_t>(value);
  }

 private:
  std::vector<double> probabilities_;
  PhiloxStream random_;
  std::vector<int64_t> pool_;
};

struct Outcome {
  int64_t value = 0;
  Chooser::Choice choice;
  int64_t draws_made = 0, tokens_decoded = 0;
};

// `block`: draws are made in multiples of it; `eager`: everything is decoded at once.
// `pool`: no more draws than that; 0: as many as wanted.
inline Outcome Feed(Chooser& chooser, const ToySampler& sampler, int64_t block = 1,
                    bool eager = false, int64_t pool = 0) {
  Draws draws(3);
  Outcome outcome;
  const auto learn = [&](int64_t draw, int64_t count) {
    const std::vector<int64_t> chunk = ChunkOfValue(sampler.ValueOf(draw));
    const auto known = static_cast<int64_t>(draws.Known(draw).size());
    if (count <= known) return;
    draws.Learn(draw, std::span(chunk).subspan(known, count - known));
    outcome.tokens_decoded += count - known;
  };
  const auto make = [&](int64_t wanted) {
    while (draws.count() < wanted && (pool == 0 || draws.count() < pool)) {
      for (int64_t i = 0; i < block && (pool == 0 || draws.count() < pool); ++i) {
        draws.Add();
        if (eager) learn(draws.count() - 1, 3);
      }
    }
  };
  if (eager) make(pool);
  while (true) {
    Needs needs;
    const auto choice = chooser.Advance(draws, pool > 0 && draws.count() >= pool, &needs);
    if (choice.has_value()) {
      outcome.choice = *choice;
      break;
    }
    make(needs.draws);
    for (const Needs::Tokens& wish : needs.tokens) {
      if (wish.draw < draws.count()) learn(wish.draw, wish.count);
    }
  }
  outcome.value = sampler.ValueOf(outcome.choice.draw);
  outcome.draws_made = draws.count();
  return outcome;
}

// P^power / Z.
inline std::vector<double> Sharpened(const std::vector<double>& probabilities, double power) {
  std::vector<double> sharp;
  double total = 0;
  for (const double p : probabilities) total += sharp.emplace_back(std::pow(p, power));
  for (double& p : sharp) p /= total;
  return sharp;
}

// Pearson's statistic of counts against probabilities.
inline double ChiSquare(const std::vector<int64_t>& counts,
                        const std::vector<double>& probabilities) {
  double total = 0, statistic = 0;
  for (const int64_t count : counts) total += static_cast<double>(count);
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = total * probabilities[i];
    statistic += std::pow(static_cast<double>(counts[i]) - expected, 2) / expected;
  }
  return statistic;
}

// Quantiles of the chi-square distribution: exceeded once in a million by chance.
inline double ChiSquareLimit(int64_t degrees) {
  static const std::map<int64_t, double> kLimits = {{1, 23.93}, {2, 27.63}, {3, 30.66}};
  return kLimits.at(degrees);
}

}  // namespace halcyon::model

#endif  // HALCYON_TESTS_MODEL_SAMPLING_TOY_SAMPLER_H_
