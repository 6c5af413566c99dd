// Which files of an unfinished cache are merged. Pure.
#ifndef HALCYON_STORAGE_MERGE_PLAN_H_
#define HALCYON_STORAGE_MERGE_PLAN_H_

#include <cstdint>
#include <vector>

#include "storage/ingest_log.h"

namespace halcyon::storage {

enum class MergeWhat {
  kFull,  // what makes a file of `target_bytes`: less may yet grow
  kAll,   // all that follow each other: no more shards come
};

// The first shards of the next files to merge into one: they follow each other without a gap, each
// has less than `target_bytes`, and all but the last together, too. Empty when there is nothing to
// merge. Merging as long as there is ends with at most one file below `target_bytes` between two
// others, or between two gaps.
inline std::vector<uint32_t> NextMerge(const HeldFiles& files, uint64_t target_bytes,
                                       MergeWhat what) {
  std::vector<uint32_t> run;
  uint64_t bytes = 0, next = 0;
  for (const auto& [first, file] : files) {
    const bool fits = file.bytes < target_bytes;
    if (!fits || first != next) {
      if (what == MergeWhat::kAll && run.size() > 1) return run;
      run.clear();
      bytes = 0;
    }
    next = uint64_t{file.last()} + 1;
    if (!fits) continue;
    run.push_back(first);
    bytes += file.bytes;
    if (bytes >= target_bytes) return run;
  }
  if (what == MergeWhat::kAll && run.size() > 1) return run;
  return {};
}

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_MERGE_PLAN_H_
