// Versions of NCCL as numbers, and those that are known to go wrong.
#ifndef HALCYON_WORKER_CUDA_NCCL_VERSION_H_
#define HALCYON_WORKER_CUDA_NCCL_VERSION_H_

#include <string>

namespace halcyon::worker {

// "2.28.9" of ncclGetVersion's 22809.
inline std::string NcclVersionText(int version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

// "" when nothing is known against it.
inline std::string NcclVersionWarning(int version) {
  if (version < 22803 || version > 22808) return "";
  return "NCCL " + NcclVersionText(version) +
         ": collectives of versions 2.28.3 to 2.28.8 are reported to hang; use 2.28.9 or later";
}

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_CUDA_NCCL_VERSION_H_
