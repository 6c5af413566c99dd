// The training windows of each source that has a share (jobs/mixture.h).
#ifndef HALCYON_PIPELINE_SAMPLES_SOURCE_WINDOWS_H_
#define HALCYON_PIPELINE_SAMPLES_SOURCE_WINDOWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"
#include "pipeline/samples/mixture_order.h"
#include "pipeline/samples/packing.h"
#include "pipeline/sources/file_shards.h"

namespace halcyon::pipeline {

// By source, those windows (pipeline/samples/window_loader.h) whose chunks are all of the source.
// Where no source has a share, all windows as one part. REQUIRES: there is a window.
// kInvalidArgument names a source without a window; kFailedPrecondition: `files` is not known, as
// with tokens that an earlier version made, or of other files.
absl::StatusOr<std::vector<MixturePart>> WindowsOfSources(const jobs::DataSpec& data,
                                                          const FileShards& files,
                                                          const Packing& packing,
                                                          uint32_t window_chunks);

// The held-out windows of a part of the text that is scored apart.
struct HeldoutWindows {
  std::string name;
  uint64_t begin = 0, count = 0;  // count may be 0
};
// By part (jobs/heldout_parts.h), those windows whose chunks are all of the part. Empty where
// nothing is scored apart, or the tokens are of other files.
std::vector<HeldoutWindows> HeldoutWindowsOf(const jobs::DataSpec& data, const FileShards& files,
                                             const Packing& packing, uint32_t window_chunks);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SAMPLES_SOURCE_WINDOWS_H_
