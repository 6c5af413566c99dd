// Id arrays as NumPy files: one dimension, uint32, little-endian, version 1.0.
#ifndef HALCYON_PIPELINE_NPY_H_
#define HALCYON_PIPELINE_NPY_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace halcyon::pipeline {

absl::Status WriteNpy(const std::string& path, std::span<const uint32_t> values);
// Takes uint32 of one dimension; kInvalidArgument says what else it found.
absl::StatusOr<std::vector<uint32_t>> ReadNpy(const std::string& path);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_NPY_H_
