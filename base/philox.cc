#include "base/philox.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "base/philox_numbers.h"

namespace halcyon {
namespace {

constexpr uint64_t kNumbersPerBlock = kNumbersPerPhiloxBlock;

// splitmix64's finaliser: spreads (seed, stream) over the 64 bits of the key.
uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9ull;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

}  // namespace

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  return std::bit_cast<std::array<uint32_t, 4>>(
      PhiloxRounds({{c[0], c[1], c[2], c[3]}}, {{k[0], k[1]}}));
}

PhiloxStream::PhiloxStream(uint64_t seed, NoiseStream stream, uint64_t step, uint64_t sample) {
  HALCYON_CHECK(step >> 32 == 0 && sample >> 32 == 0);
  const uint64_t key = Mix(Mix(seed + 0x9E3779B97F4A7C15ull) + static_cast<uint64_t>(stream));
  key_ = {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
  step_ = static_cast<uint32_t>(step);
  sample_ = static_cast<uint32_t>(sample);
}

std::array<uint32_t, 4> PhiloxStream::Block(uint64_t block) const {
  return std::bit_cast<std::array<uint32_t, 4>>(
      PhiloxRounds(PhiloxCounter(block, step_, sample_), {{key_[0], key_[1]}}));
}

void PhiloxStream::FillBits(uint64_t first, std::span<uint32_t> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const uint64_t index = first + done;
    const auto block = Block(index / kNumbersPerBlock);
    const size_t offset = index % kNumbersPerBlock;
    const size_t count = std::min(out.size() - done, kNumbersPerBlock - offset);
    std::copy_n(block.begin() + offset, count, out.begin() + done);
    done += count;
  }
}

void PhiloxStream::FillUniform(uint64_t first, std::span<float> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const uint64_t index = first + done;
    const auto block = Block(index / kNumbersPerBlock);
    for (size_t i = index % kNumbersPerBlock; i < kNumbersPerBlock && done < out.size(); ++i) {
      out[done++] = PhiloxUniform(block[i]);
    }
  }
}

void PhiloxStream::FillNormal(uint64_t first, std::span<float> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const uint64_t index = first + done;
    const auto block = Block(index / kNumbersPerBlock);
    std::array<float, 4> normals;
    for (size_t pair = 0; pair < 2; ++pair) {
      // 1 - u lies in (0, 1], so the logarithm is finite.
      const float radius = std::sqrt(-2.0f * std::log(1.0f - PhiloxUniform(block[2 * pair])));
      const float angle = 2.0f * std::numbers::pi_v<float> * PhiloxUniform(block[2 * pair + 1]);
      normals[2 * pair] = radius * std::cos(angle);
      normals[2 * pair + 1] = radius * std::sin(angle);
    }
    for (size_t i = index % kNumbersPerBlock; i < kNumbersPerBlock && done < out.size(); ++i) {
      out[done++] = normals[i];
    }
  }
}

uint32_t PhiloxStream::Bits(uint64_t index) const {
  return Block(index / kNumbersPerBlock)[index % kNumbersPerBlock];
}

uint64_t PhiloxStream::Below(uint64_t index, uint64_t bound) const {
  HALCYON_CHECK(bound >= 1);
  const auto block = Block(index / 2);
  const size_t pair = 2 * (index % 2);
  const uint64_t bits = uint64_t{block[pair]} << 32 | block[pair + 1];
  return static_cast<uint64_t>((static_cast<unsigned __int128>(bits) * bound) >> 64);
}

double PhiloxStream::Uniform(uint64_t index) const {
  const auto block = Block(index / 2);
  const size_t pair = 2 * (index % 2);
  const uint64_t bits = uint64_t{block[pair]} << 32 | block[pair + 1];
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

}  // namespace halcyon
