#include "model/brier.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/check.h"
#include "base/philox.h"

namespace halcyon::model {
namespace {

constexpr double kTwo32 = 4294967296.0;
// Serialised: chunk size, number of documents, then this many numbers for each document.
constexpr size_t kHeaderNumbers = 2;
constexpr size_t kDocumentNumbers = 3 + 3 * kBrierOrders;

using Sums = std::array<double, kBrierOrders>;

double BrierLm(const Sums& accuracy, const Sums& collision, const Sums& count, int orders) {
  double log_sum = 0;
  for (int n = 0; n < orders; ++n) {
    const double brier = (2 * accuracy[n] - collision[n]) / count[n];
    if (!(brier > 0)) return 0;
    log_sum += std::log(brier);
  }
  return 100 * std::exp(log_sum / orders);
}

double Quantile(const std::vector<double>& sorted, double probability) {
  const double place = probability * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

void AddTo(Sums& sums, const Sums& more) {
  for (int n = 0; n < kBrierOrders; ++n) sums[n] += more[n];
}

}  // namespace

BrierAccumulator::BrierAccumulator(int64_t chunk_size)
    : chunk_size_(chunk_size),
      orders_(static_cast<int>(std::min<int64_t>(chunk_size, kBrierOrders))) {
  HALCYON_CHECK(chunk_size >= 1);
}

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

void BrierAccumulator::Add(std::span<const int64_t> samples, std::span<const int64_t> truth,
                           uint64_t document) {
  const int64_t draws = static_cast<int64_t>(samples.size()) / chunk_size_;
  HALCYON_CHECK(draws >= 2 && static_cast<int64_t>(samples.size()) == draws * chunk_size_ &&
                static_cast<int64_t>(truth.size()) == chunk_size_);
  // How many tokens two chunks share from their start on, up to the longest n-gram.
  const auto common = [&](const int64_t* a, const int64_t* b) {
    int length = 0;
    while (length < orders_ && a[length] == b[length]) ++length;
    return length;
  };
  Sums right{}, equal{};
  for (int64_t i = 0; i < draws; ++i) {
    const int64_t* sample = samples.data() + i * chunk_size_;
    for (int n = common(sample, truth.data()); n > 0; --n) right[n - 1] += 1;
    for (int64_t j = i + 1; j < draws; ++j) {
      for (int n = common(sample, samples.data() + j * chunk_size_); n > 0; --n) equal[n - 1] += 1;
    }
  }
  DocumentSums& sums = SumsOf(document);
  const double count = static_cast<double>(draws);
  for (int n = 0; n < orders_; ++n) {
    sums.accuracy[n] += right[n] / count;
    sums.collision[n] += equal[n] / (0.5 * count * (count - 1));
    sums.count[n] += 1;
  }
  sums.positions += 1;
}

BrierAccumulator::Score BrierAccumulator::Compute(uint64_t seed, int64_t resamples) const {
  Score score;
  if (documents_.empty()) return score;
  Sums accuracy{}, collision{}, count{};
  for (const DocumentSums& sums : documents_) {
    AddTo(accuracy, sums.accuracy);
    AddTo(collision, sums.collision);
    AddTo(count, sums.count);
    score.positions += sums.positions;
  }
  score.documents = documents_.size();
  for (int n = 0; n < orders_; ++n) {
    score.accuracy[n] = accuracy[n] / count[n];
    score.collision[n] = collision[n] / count[n];
    score.brier[n] = 2 * score.accuracy[n] - score.collision[n];
  }
  score.brier_lm = score.low = score.high = BrierLm(accuracy, collision, count, orders_);
  if (resamples <= 0) return score;

  std::vector<double> values;
  for (int64_t resample = 0; resample < resamples; ++resample) {
    const PhiloxStream stream(seed, NoiseStream::kBootstrap, static_cast<uint64_t>(resample), 0);
    accuracy = collision = count = Sums{};
    for (size_t i = 0; i < documents_.size(); ++i) {
      const DocumentSums& sums = documents_[stream.Below(i, documents_.size())];
      AddTo(accuracy, sums.accuracy);
      AddTo(collision, sums.collision);
      AddTo(count, sums.count);
    }
    values.push_back(BrierLm(accuracy, collision, count, orders_));
  }
  std::sort(values.begin(), values.end());
  score.low = Quantile(values, 0.025);
  score.high = Quantile(values, 0.975);
  return score;
}

std::vector<double> BrierAccumulator::Serialise() const {
  std::vector<double> numbers = {static_cast<double>(chunk_size_),
                                 static_cast<double>(documents_.size())};
  for (const DocumentSums& sums : documents_) {
    // A double holds 53 bits: the name of a document takes two.
    numbers.push_back(static_cast<double>(sums.document >> 32));
    numbers.push_back(static_cast<double>(sums.document & 0xFFFFFFFFu));
    numbers.push_back(static_cast<double>(sums.positions));
    for (const Sums* values : {&sums.accuracy, &sums.collision, &sums.count}) {
      numbers.insert(numbers.end(), values->begin(), values->end());
    }
  }
  return numbers;
}

absl::Status BrierAccumulator::Merge(std::span<const double> serialised) {
  if (serialised.size() < kHeaderNumbers || serialised[0] != static_cast<double>(chunk_size_) ||
      !(serialised[1] >= 0) ||
      static_cast<double>(serialised.size()) !=
          static_cast<double>(kHeaderNumbers) + kDocumentNumbers * serialised[1]) {
    return InvalidArgument(fmt::format("{} numbers are no Brier sums over chunks of {} tokens",
                                       serialised.size(), chunk_size_));
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
    for (Sums* values : {&sums.accuracy, &sums.collision, &sums.count}) {
      for (double& value : *values) value += serialised[next++];
    }
  }
  return absl::OkStatus();
}

}  // namespace halcyon::model
