// Job files by number: some keys at the ends of their ranges or anywhere between, the others as
// they are. The seed is fixed, so a failure repeats.
#ifndef HALCYON_TESTS_JOBS_RANDOM_SPEC_H_
#define HALCYON_TESTS_JOBS_RANDOM_SPEC_H_

#include <bit>
#include <string>
#include <vector>

#include "base/philox.h"
#include "jobs/job_spec.h"
#include "jobs/spec_keys.h"

namespace halcyon::jobs {

class RandomSpec {
 public:
  explicit RandomSpec(uint64_t number) : stream_(20250301, NoiseStream::kEvaluation, 1, number) {}

  // `base` with one to six of its keys changed. Contradictions are left in.
  JobSpec Change(JobSpec base) {
    const std::vector<SpecKey> keys = KeysOf(base);
    for (uint64_t left = 1 + Below(6); left > 0; --left) {
      const SpecKey& key = keys[Below(keys.size())];
      std::visit([&](const auto& kind) { Set(kind); }, key.value);
    }
    return base;
  }

 private:
  uint64_t Below(uint64_t bound) { return stream_.Below(next_++, bound); }

  void Set(const IntegerKey& key) {
    const auto range = static_cast<uint64_t>(key.max - key.min);
    switch (Below(4)) {
      case 0:
        *key.value = key.min;
        break;
      case 1:
        *key.value = key.max;
        break;
      default: {
        // Every size is as likely, so that small numbers are not rare.
        const uint64_t bits = Below(std::bit_width(range) + 1);
        const uint64_t size = bits == 0 ? 0 : Below(uint64_t{1} << std::min<uint64_t>(bits, 62));
        *key.value = key.min + static_cast<int64_t>(std::min(size, range));
      }
    }
  }
  void Set(const NumberKey& key) {
    const Interval& interval = key.interval;
    const double steps[] = {0, 1e-9, 0.25, 0.5, 1 - 1e-9, 1};
    const double value =
        interval.min + steps[Below(std::size(steps))] * (interval.max - interval.min);
    if (interval.Contains(value)) *key.value = value;
  }
  void Set(const BooleanKey& key) { *key.value = Below(2) == 1; }
  void Set(const TextKey&) {}
  void Set(const ListKey&) {}
  void Set(const TableKey&) {}
  void Set(const SourcesKey&) {}
  void Set(const ChoiceKey& key) { key.set(Below(key.choices.size())); }

  PhiloxStream stream_;
  uint64_t next_ = 0;
};

}  // namespace halcyon::jobs

#endif  // HALCYON_TESTS_JOBS_RANDOM_SPEC_H_
