#include "model/brier.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/check.h"
#include "base/philox.h"

namespace halcyon::model {
namespace {

constexpr double kTwo32 = 4294967296.0;
// Serialised: the number of documents, then this many numbers for each.
constexpr size_t kHeaderNumbers = 1;
constexpr size_t kDocumentNumbers = 3 + 2 * kBrierOrders;

// Sums over places.
struct Totals {
  uint64_t positions = 0;
  BrierOrders accuracy{}, collision{};

  BrierOrders Brier() const {
    BrierOrders brier{};
    for (int n = 0; n < kBrierOrders; ++n) {
      brier[n] = (2 * accuracy[n] - collision[n]) / static_cast<double>(positions);
    }
    return brier;
  }
};

template <typename Sums>
void AddTo(Totals& totals, const Sums& more) {
  totals.positions += more.positions;
  for (int n = 0; n < kBrierOrders; ++n) {
    totals.accuracy[n] += more.accuracy[n];
    totals.collision[n] += more.collision[n];
  }
}

BrierOrders Counted(const BrierOrders& brier, BrierProtocol protocol) {
  BrierOrders counted = brier;
  if (protocol == BrierProtocol::kPairwise) {
    for (double& value : counted) value = std::max(value, 0.0);
  }
  return counted;
}

double BrierLm(const BrierOrders& brier, BrierProtocol protocol) {
  double product = 1;
  for (const double value : Counted(brier, protocol)) product *= value;
  return 100 * std::pow(std::max(product, 0.0), 1.0 / kBrierOrders);
}

double Quantile(const std::vector<double>& sorted, double probability) {
  const double place = probability * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

// How many tokens two n-grams share from their start on.
int CommonTokens(const int64_t* a, const int64_t* b) {
  int length = 0;
  while (length < kBrierOrders && a[length] == b[length]) ++length;
  return length;
}

}  // namespace

BrierAccumulator::DocumentSums& BrierAccumulator::SumsOf(uint64_t document) {
  auto place = std::lower_bound(
      documents_.begin(), documents_.end(), document,
      [](const DocumentSums& sums, uint64_t wanted) { return sums.document < wanted; });
  if (place == documents_.end() || place->document != document) {
    place = documents_.insert(place, DocumentSums{});
    place->document = document;
  }
  return *place;
}

void BrierAccumulator::AddSamples(std::span<const int64_t> samples, std::span<const int64_t> truth,
                                  uint64_t document) {
  const int64_t draws = static_cast<int64_t>(samples.size()) / kBrierOrders;
  HALCYON_CHECK(draws >= 2 && static_cast<int64_t>(samples.size()) == draws * kBrierOrders &&
                truth.size() == kBrierOrders);
  const double pairs = 0.5 * static_cast<double>(draws) * static_cast<double>(draws - 1);
  BrierOrders accuracy{}, collision{};
  for (int64_t i = 0; i < draws; ++i) {
    const int64_t* sample = samples.data() + i * kBrierOrders;
    for (int n = CommonTokens(sample, truth.data()); n > 0; --n) accuracy[n - 1] += 1;
    for (int64_t j = i + 1; j < draws; ++j) {
      const int64_t* other = samples.data() + j * kBrierOrders;
      for (int n = CommonTokens(sample, other); n > 0; --n) collision[n - 1] += 1;
    }
  }
  for (double& value : accuracy) value /= static_cast<double>(draws);
  for (double& value : collision) value /= pairs;
  AddValues(accuracy, collision, document);
}

void BrierAccumulator::AddValues(const BrierOrders& accuracy, const BrierOrders& collision,
                                 uint64_t document) {
  DocumentSums& sums = SumsOf(document);
  sums.positions += 1;
  for (int n = 0; n < kBrierOrders; ++n) {
    sums.accuracy[n] += accuracy[n];
    sums.collision[n] += collision[n];
  }
}

BrierAccumulator::Score BrierAccumulator::Compute(BrierProtocol protocol, uint64_t seed,
                                                  int64_t resamples) const {
  Score score;
  if (documents_.empty()) return score;
  Totals totals;
  for (const DocumentSums& sums : documents_) AddTo(totals, sums);
  score.positions = totals.positions;
  score.documents = documents_.size();
  score.brier = totals.Brier();
  score.counted = Counted(score.brier, protocol);
  for (int n = 0; n < kBrierOrders; ++n) {
    score.accuracy[n] = totals.accuracy[n] / static_cast<double>(totals.positions);
    score.collision[n] = totals.collision[n] / static_cast<double>(totals.positions);
  }
  score.brier_lm = score.low = score.high = BrierLm(score.brier, protocol);
  if (resamples <= 0) return score;

  std::vector<double> values;
  for (int64_t resample = 0; resample < resamples; ++resample) {
    const PhiloxStream stream(seed, NoiseStream::kBootstrap, static_cast<uint64_t>(resample), 0);
    totals = Totals{};
    for (size_t i = 0; i < documents_.size(); ++i) {
      AddTo(totals, documents_[stream.Below(i, documents_.size())]);
    }
    values.push_back(BrierLm(totals.Brier(), protocol));
  }
  std::sort(values.begin(), values.end());
  score.low = Quantile(values, 0.025);
  score.high = Quantile(values, 0.975);
  return score;
}

std::vector<double> BrierAccumulator::Serialise() const {
  std::vector<double> numbers = {static_cast<double>(documents_.size())};
  for (const DocumentSums& sums : documents_) {
    // A double holds 53 bits: the name of a document takes two.
    numbers.push_back(static_cast<double>(sums.document >> 32));
    numbers.push_back(static_cast<double>(sums.document & 0xFFFFFFFFu));
    numbers.push_back(static_cast<double>(sums.positions));
    for (const BrierOrders* values : {&sums.accuracy, &sums.collision}) {
      numbers.insert(numbers.end(), values->begin(), values->end());
    }
  }
  return numbers;
}

absl::Status BrierAccumulator::Merge(std::span<const double> serialised) {
  if (serialised.size() < kHeaderNumbers || !(serialised[0] >= 0) ||
      static_cast<double>(serialised.size()) !=
          static_cast<double>(kHeaderNumbers) + kDocumentNumbers * serialised[0]) {
    return InvalidArgument(fmt::format("{} numbers are no Brier sums", serialised.size()));
  }
  for (const double number : serialised) {
    if (!(number >= 0 && number < kTwo32)) {
      return InvalidArgument(fmt::format("Brier sums hold the impossible value {}", number));
    }
  }
  for (size_t at = kHeaderNumbers; at < serialised.size(); at += kDocumentNumbers) {
    DocumentSums& sums = SumsOf(static_cast<uint64_t>(serialised[at]) << 32 |
                                static_cast<uint64_t>(serialised[at + 1]));
    sums.positions += static_cast<uint64_t>(serialised[at + 2]);
    size_t next = at + 3;
    for (BrierOrders* values : {&sums.accuracy, &sums.collision}) {
      for (double& value : *values) value += serialised[next++];
    }
  }
  return absl::OkStatus();
}

}  // namespace halcyon::model
