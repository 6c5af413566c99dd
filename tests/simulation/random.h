// The random numbers of one simulation: Philox with the seed as its key, taken one after the other.
#ifndef HALCYON_TESTS_SIMULATION_RANDOM_H_
#define HALCYON_TESTS_SIMULATION_RANDOM_H_

#include <array>
#include <cstdint>
#include <vector>

#include "base/philox.h"

namespace halcyon::simulation {

class Random {
 public:
  explicit Random(uint64_t seed)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)} {}

  // Uniform in [low, high].
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Bits() % static_cast<uint64_t>(high - low + 1));
  }
  // One of them. REQUIRES: there is one.
  template <typename T>
  const T& Of(const std::vector<T>& all) {
    return all[static_cast<size_t>(Between(0, static_cast<int64_t>(all.size()) - 1))];
  }
  bool Chance(double probability) { return Bits() < probability * 4294967296.0; }

 private:
  uint32_t Bits() {
    if (used_ == block_.size()) {
      block_ =
          Philox4x32({static_cast<uint32_t>(blocks_), static_cast<uint32_t>(blocks_ >> 32)}, key_);
      ++blocks_;
      used_ = 0;
    }
    return block_[used_++];
  }

  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> block_{};
  uint64_t blocks_ = 0;
  size_t used_ = block_.size();
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_RANDOM_H_
