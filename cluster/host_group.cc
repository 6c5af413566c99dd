#include "cluster/host_group.h"

#include <bit>
#include <cstring>

#include "base/check.h"

namespace halcyon::cluster {
namespace {

// bfloat16 is the upper half of a float32.
float Widen(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

template <typename T, typename ToFloat>
void Add(const T* part, bool is_first, std::span<float> sum, ToFloat to_float) {
  if (is_first) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] = to_float(part[i]);
  } else {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += to_float(part[i]);
  }
}

}  // namespace

void AddPart(ConstBuffer part, bool is_first, std::span<float> sum) {
  HALCYON_CHECK(part.count == sum.size() && part.device.is_host());
  if (part.type == ElementType::kBFloat16) {
    Add(static_cast<const uint16_t*>(part.data), is_first, sum, Widen);
  } else if (is_first) {
    // The part may be the sum itself.
    if (!sum.empty()) std::memmove(sum.data(), part.data, sum.size_bytes());
  } else {
    Add(static_cast<const float*>(part.data), is_first, sum, [](float value) { return value; });
  }
}

}  // namespace halcyon::cluster
