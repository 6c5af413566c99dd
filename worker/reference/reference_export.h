// The inverse of worker/reference/reference_import.h.
#ifndef HALCYON_WORKER_REFERENCE_REFERENCE_EXPORT_H_
#define HALCYON_WORKER_REFERENCE_REFERENCE_EXPORT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "storage/weights/weights_index.h"

namespace halcyon::worker {

struct ExportSources {
  // A folder that an import wrote, whose config.json comes back as it was; or an artifact of
  // training, an autoencoder's or a model's.
  std::string from;
  // The artifact of the model's autoencoder, or ""; needed for a model of training that has one,
  // refused otherwise.
  std::string autoencoder;
  // A folder with tokenizer.json, or that file; "": the one in `from`, if it has one.
  std::string tokenizer;
};

// `to`: must not exist or be empty; gets config.json, the weights (every tensor under every name
// that it has, in files as storage/weights/weights_index.h cuts them), tokenizer.json, and for a
// model autoencoder/ with the autoencoder alone, where the published code wants its ae_path to
// point. One tensor is in memory at a time.
// kInvalidArgument when the reference has no such network. Returns facts to print, among them
// "left_out": what has no place in a checkpoint, or was not at hand.
absl::StatusOr<nlohmann::json> ExportReference(Env& env, const ExportSources& sources,
                                               const std::string& to,
                                               uint64_t shard_bytes_max = storage::kShardBytesMax);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_REFERENCE_REFERENCE_EXPORT_H_
