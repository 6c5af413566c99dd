// Published checkpoints become artifacts, and artifacts become checkpoints that the published code
// loads. docs/reference_checkpoints.md describes both sides.
//
// A folder of an imported checkpoint holds autoencoder/ and model/ as the stages of those names
// leave them (a baseline has only the second, an autoencoder alone only the first), reference.json
// with the config.json it came from, and tokenizer.json when there was a tokenizer.
#ifndef HALCYON_WORKER_REFERENCE_REFERENCE_IMPORT_H_
#define HALCYON_WORKER_REFERENCE_REFERENCE_IMPORT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "storage/weights/weights_index.h"
#include "worker/reference/import_record.h"

namespace halcyon::worker {

inline constexpr char kReferenceFile[] = "reference.json";

// `from`: config.json with weights (storage/weights/weights_folder.h). `autoencoder`: the folder of
// the autoencoder's checkpoint, or ""; needed when the weights in `from` do not include it. `to`:
// must not exist or be empty; afterwards it is whole, or was never there. kInvalidArgument names
// the keys of config.json that are not supported, or the tensors that are missing, extra, of
// another shape, or unequal to what must equal them, or what of the tokenizer is not supported.
// Returns facts to print. One tensor is in
// memory at a time.
absl::StatusOr<nlohmann::json> ImportReference(Env& env, const std::string& from,
                                               const std::string& autoencoder,
                                               const std::string& to,
                                               uint64_t shard_bytes_max = storage::kShardBytesMax,
                                               const TokenizerSource& tokenizer = {});

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_REFERENCE_REFERENCE_IMPORT_H_
