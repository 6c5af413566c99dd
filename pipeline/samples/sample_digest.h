// What a step was trained on as digests that depend neither on the order of its samples nor on
// which rank took which: so the ranks' sum is the same for any number of them, and a sample that is
// left out, taken twice or exchanged changes it. docs/checkpoint_format.md defines them.
#ifndef HALCYON_PIPELINE_SAMPLES_SAMPLE_DIGEST_H_
#define HALCYON_PIPELINE_SAMPLES_SAMPLE_DIGEST_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "storage/sample_log.h"

namespace halcyon::pipeline {

// A value: the number of samples, and sums modulo 2^128 of a 128-bit XXH3 of each sample: over
// which item (window, or chunk) it was, which the order of the samples gives alone; over its token
// ids, for which the text must be read; over its latents, where it has some. And each of these sums
// with the terms multiplied by the places of their samples, from 1.
class SampleDigest {
 public:
  SampleDigest() = default;
  SampleDigest(uint64_t samples, const storage::Digest128& items, const storage::Digest128& text)
      : samples_(samples), sums_{items, text, {}} {}
  // Sample `place` of step `step`, both from 0, is item `item`.
  void Add(uint64_t step, uint64_t place, uint64_t item);
  // `ids`: its token ids, as little-endian numbers of 64 bits.
  void AddText(uint64_t step, uint64_t place, std::string_view ids);
  // The posteriors of its chunks, one after another, as float32: of all samples or of none.
  void AddLatents(uint64_t step, uint64_t place, std::string_view means, std::string_view log_stds);
  // Those of other samples.
  void Add(const SampleDigest& other);

  uint64_t samples() const { return samples_; }
  const storage::Digest128& items() const { return sums_.items; }
  const storage::Digest128& text() const { return sums_.text; }
  // nullopt unless those of all samples were added.
  std::optional<storage::Digest128> latents() const;
  const storage::PlaceSums& by_place() const { return by_place_; }
  // As it stands in the sample log, of a step counted from 1.
  storage::StepSamples Recorded(uint64_t step) const;

  // Numbers that a sum over up to 2^21 ranks in doubles keeps exact; SumOf gives the digest of all
  // ranks' samples from it.
  static constexpr size_t kSummands = 26;
  std::array<double, kSummands> Summands() const;
  // REQUIRES: sums.size() == kSummands.
  static SampleDigest SumOf(std::span<const double> sums);

 private:
  void AddTerm(uint64_t place, const storage::Digest128& term,
               storage::Digest128 storage::PlaceSums::*kind);

  uint64_t samples_ = 0, with_latents_ = 0;
  storage::PlaceSums sums_, by_place_;
};

// A sum of SampleDigest, and the one by places.
struct SumAndByPlace {
  storage::Digest128 sum = {}, by_place = {};
};
// The place, below `batch`, of the only sample that differs, when one alone differs between what
// gave the one and what gave the other; nullopt when none or several do. Wrong once in 2^64 times.
std::optional<uint64_t> OnlyDifferentPlace(const SumAndByPlace& expected,
                                           const SumAndByPlace& found, uint64_t batch);
// Which item below `items_end` sample `place` of `step` was in place of `item`, when that alone
// makes the sum over items `found` and not `expected`.
std::optional<uint64_t> ItemInstead(uint64_t step, uint64_t place, uint64_t item,
                                    const storage::Digest128& expected,
                                    const storage::Digest128& found, uint64_t items_end);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SAMPLES_SAMPLE_DIGEST_H_
