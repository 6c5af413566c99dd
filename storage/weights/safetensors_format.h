// Constants of the safetensors format, for its reader and its writer.
#ifndef HALCYON_STORAGE_WEIGHTS_SAFETENSORS_FORMAT_H_
#define HALCYON_STORAGE_WEIGHTS_SAFETENSORS_FORMAT_H_

#include <bit>
#include <cstdint>

namespace halcyon::storage {

static_assert(std::endian::native == std::endian::little, "tensors are written as they lie");

inline constexpr uint64_t kLengthBytes = 8;
inline constexpr uint64_t kHeaderBytesMax = 100'000'000;
inline constexpr uint64_t kHeaderAlignment = 8;
inline constexpr char kMetadata[] = "__metadata__";

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_WEIGHTS_SAFETENSORS_FORMAT_H_
