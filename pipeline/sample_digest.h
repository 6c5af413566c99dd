// What a step was trained on as digests that depend neither on the order of its samples nor on
// which rank took which: so the ranks' sum is the same for any number of them, and a sample that is
// left out, taken twice or exchanged changes it. docs/checkpoint_format.md defines them.
#ifndef HALCYON_PIPELINE_SAMPLE_DIGEST_H_
#define HALCYON_PIPELINE_SAMPLE_DIGEST_H_

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "storage/sample_log.h"

namespace halcyon::pipeline {

// A value: the number of samples, and two sums modulo 2^128 of a 128-bit XXH3 of each sample. One
// is over which item (window, or chunk) it was, which the order of the samples gives alone; the
// other over its token ids, for which the text must be read.
class SampleDigest {
 public:
  SampleDigest() = default;
  SampleDigest(uint64_t samples, const storage::Digest128& items, const storage::Digest128& text)
      : samples_(samples), items_(items), text_(text) {}
  // Sample `place` of step `step`, both from 0, is item `item`.
  void Add(uint64_t step, uint64_t place, uint64_t item);
  // `ids`: its token ids, as little-endian numbers of 64 bits.
  void AddText(uint64_t step, uint64_t place, std::string_view ids);
  // Those of other samples.
  void Add(const SampleDigest& other);

  uint64_t samples() const { return samples_; }
  const storage::Digest128& items() const { return items_; }
  const storage::Digest128& text() const { return text_; }

  // Numbers that a sum over up to 2^21 ranks in doubles keeps exact; SumOf gives the digest of all
  // ranks' samples from it.
  static constexpr size_t kSummands = 9;
  std::array<double, kSummands> Summands() const;
  // REQUIRES: sums.size() == kSummands.
  static SampleDigest SumOf(std::span<const double> sums);

 private:
  uint64_t samples_ = 0;
  storage::Digest128 items_ = {}, text_ = {};
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SAMPLE_DIGEST_H_
