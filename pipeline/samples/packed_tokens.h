// The tokens of an artifact as a stage reads them: its share of the training text, packed into
// chunks, and what its samples are drawn from.
#ifndef HALCYON_PIPELINE_SAMPLES_PACKED_TOKENS_H_
#define HALCYON_PIPELINE_SAMPLES_PACKED_TOKENS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"
#include "jobs/stages.h"
#include "pipeline/samples/mixture_order.h"
#include "pipeline/samples/packing.h"
#include "pipeline/sources/file_shards.h"
#include "pipeline/tokenizer.h"
#include "storage/artifact_reader.h"
#include "storage/token_cache.h"

namespace halcyon::pipeline {

// Which shards of the training text: all, those that autoencoder.data_fraction gives to the
// autoencoder, or the others.
enum class TextShare { kAll, kAutoencoders, kOthers };
// That of a stage which trains.
TextShare TextShareOf(jobs::StageKind kind, const jobs::JobSpec& spec);

// The token cache with its packing into chunks of K.
struct PackedTokens {
  std::unique_ptr<storage::TokenReader> reader;
  std::unique_ptr<Packing> packing;
  FileShards files;  // not known: an earlier version made them
};
// kInvalidArgument: no shard is left for kOthers.
absl::StatusOr<PackedTokens> OpenPackedTokens(storage::ArtifactReader& artifact,
                                              const Tokenizer& tokenizer,
                                              const jobs::AutoencoderSpec& autoencoder,
                                              TextShare share);

// What the samples of a stage which trains are drawn from, by source: chunks for the autoencoder,
// windows for the model. Errors as of WindowsOfSources. REQUIRES: `tokens` has the stage's share of
// the text, and there is a chunk or a window in it.
absl::StatusOr<std::vector<MixturePart>> TrainingItems(jobs::StageKind kind,
                                                       const jobs::JobSpec& spec,
                                                       const PackedTokens& tokens);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SAMPLES_PACKED_TOKENS_H_
