// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): random
// numbers as a pure function of a key and a counter. Every random number of Halcyon is one of
// these, so noise and data order depend on the seed and on *which* sample is meant, never on the
// number of ranks, threads or on what ran before.
#ifndef HALCYON_BASE_PHILOX_H_
#define HALCYON_BASE_PHILOX_H_

#include <array>
#include <cstdint>
#include <span>

namespace halcyon {

// What a random number is for. The values are part of the reproducibility promise: append only.
enum class NoiseStream : uint32_t {
  kInitialisation = 1,
  kHeadNoise = 2,
  kPosterior = 3,
  kTokenDropout = 4,
  kLatentDropout = 5,
  kSampleOrder = 6,
  kTargetSamples = 7,
  kEvaluation = 8,
  kBootstrap = 9,
  kGeneration = 10,
  kMixtureOrder = 11,
};

// The ten rounds on one counter block.
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// A stream of numbers for one (seed, stream, step, sample): number i is a function of these alone.
// step < 2^32, sample < 2^32, and at most 2^66 numbers each. A value; cheap to make.
class PhiloxStream {
 public:
  PhiloxStream(uint64_t seed, NoiseStream stream, uint64_t step, uint64_t sample);

  // Numbers first, first+1, ... of the stream. `first` need not be a multiple of 4.
  void FillBits(uint64_t first, std::span<uint32_t> out) const;
  // Uniform on [0, 1): 24 random bits, exactly representable.
  void FillUniform(uint64_t first, std::span<float> out) const;
  // Standard normal by Box-Muller on consecutive pairs: numbers 2i and 2i+1 share a pair of
  // uniforms, so the value at an index never depends on the span asked for.
  void FillNormal(uint64_t first, std::span<float> out) const;

  uint32_t Bits(uint64_t index) const;
  // Uniform integer in [0, bound), bound >= 1; uses 64 bits (numbers 2*index and 2*index+1).
  uint64_t Below(uint64_t index, uint64_t bound) const;
  // Uniform on [0, 1) with 53 bits (numbers 2*index and 2*index+1).
  double Uniform(uint64_t index) const;

  // With step and sample, what a number's counter block is made of (base/philox_numbers.h): for
  // devices that make the numbers themselves.
  std::array<uint32_t, 2> key() const { return key_; }

 private:
  std::array<uint32_t, 4> Block(uint64_t block) const;

  std::array<uint32_t, 2> key_;
  uint32_t step_;
  uint32_t sample_;
};

}  // namespace halcyon

#endif  // HALCYON_BASE_PHILOX_H_
