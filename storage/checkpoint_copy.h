// Copies a committed checkpoint to the checkpoints of another stage fingerprint, for a stage whose
// changed settings do not affect the steps done so far (coordinator/work/continuation.h).
//
// The copy is written in the order of any checkpoint (docs/checkpoint_format.md): shards, synced,
// then a manifest of its own, then COMMIT. So one commit binds everything here too, and until it
// is there the copy does not exist. Bytes are copied, not linked: damage to one of the two, or a
// step that is written again, leaves the other as it was.
#ifndef HALCYON_STORAGE_CHECKPOINT_COPY_H_
#define HALCYON_STORAGE_CHECKPOINT_COPY_H_

#include <cstdint>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "storage/checkpoint.h"

namespace halcyon::storage {

// What the copy's manifest says in place of the original's.
struct CheckpointBinding {
  std::string fingerprint;
  std::string spec_toml;
  uint64_t claim = 0;
};

// Copies step `step` of `from`, whose folder is only read. Every shard is compared with its size
// and XXH3 in the manifest while it is copied. kNotFound: not committed there; kDataLoss: damaged,
// the message names the file. On an error no partial copy is left.
// REQUIRES: `to` has been given `binding.claim` by Fence, and has no committed checkpoint of
// that step.
absl::Status CopyCheckpoint(Env& env, CheckpointStore& from, uint64_t step, CheckpointStore& to,
                            const CheckpointBinding& binding, uint64_t keep);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_CHECKPOINT_COPY_H_
