#include "base/philox.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace halcyon {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53u;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57u;
constexpr uint32_t kWeyl0 = 0x9E3779B9u;
constexpr uint32_t kWeyl1 = 0xBB67AE85u;
constexpr uint64_t kNumbersPerBlock = 4;
constexpr float kUnit24 = 1.0f / 16777216.0f;

// splitmix64's finaliser: spreads (seed, stream) over the 64 bits of the key.
uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9ull;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

float ToUniform(uint32_t bits) { return static_cast<float>(bits >> 8) * kUnit24; }

}  // namespace

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{kMultiplier0} * c[0];
    const uint64_t p1 = uint64_t{kMultiplier1} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k[0] += kWeyl0;
    k[1] += kWeyl1;
  }
  return c;
}

PhiloxStream::PhiloxStream(uint64_t seed, NoiseStream stream, uint64_t step, uint64_t sample) {
  HALCYON_CHECK(step >> 32 == 0 && sample >> 32 == 0);
  const uint64_t key = Mix(Mix(seed + 0x9E3779B97F4A7C15ull) + static_cast<uint64_t>(stream));
  key_ = {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
  step_ = static_cast<uint32_t>(step);
  sample_ = static_cast<uint32_t>(sample);
}

std::array<uint32_t, 4> PhiloxStream::Block(uint64_t block) const {
  return Philox4x32(
      {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), step_, sample_}, key_);
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
      out[done++] = ToUniform(block[i]);
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
      const float radius = std::sqrt(-2.0f * std::log(1.0f - ToUniform(block[2 * pair])));
      const float angle = 2.0f * std::numbers::pi_v<float> * ToUniform(block[2 * pair + 1]);
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
