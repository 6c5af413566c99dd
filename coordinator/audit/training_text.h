// The text that a stage trains on, and which item of it each sample should be: from the settings
// and the artifacts that are bound to its weights.
#ifndef HALCYON_COORDINATOR_AUDIT_TRAINING_TEXT_H_
#define HALCYON_COORDINATOR_AUDIT_TRAINING_TEXT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/env.h"
#include "base/status.h"
#include "coordinator/audit/audit.h"
#include "coordinator/audit/stage_record.h"
#include "pipeline/samples/mixture_order.h"
#include "pipeline/samples/packed_tokens.h"
#include "pipeline/samples/window_loader.h"
#include "storage/artifact_scan.h"
#include "storage/latent_cache.h"

namespace halcyon::coordinator {

// Where the text of an item lies.
struct ItemPlace {
  std::string source;  // of [[data.source]]; "" where there are none
  uint32_t first_shard = 0, last_shard = 0;
  uint64_t first_document = 0, last_document = 0;  // of the training text, from 0
  // Of those that the shards have text of; "" where the tokens do not say it.
  std::string first_file, last_file;
  std::string words;  // how its text begins, in one line
};

// Not thread-safe.
class TrainingText {
 public:
  // kNotFound: the state folder has the tokens or the tokenizer no more; other errors as of
  // artifacts.
  static absl::StatusOr<std::unique_ptr<TrainingText>> Open(Env& env,
                                                            const storage::ArtifactScan& scan,
                                                            const StageRecord& record);

  const pipeline::MixtureOrder& order() const { return order_; }
  uint64_t batch() const { return batch_; }
  // An item's token ids, as pipeline::SampleDigest takes them.
  absl::StatusOr<std::string> IdsOf(uint64_t item) const;
  // Before LatentsOf. kNotFound: the stage read no latents, or the state folder has them no more.
  absl::Status OpenLatents(Env& env, const storage::ArtifactScan& scan, const StageRecord& record);
  absl::StatusOr<ItemLatents> LatentsOf(uint64_t item) const;
  absl::StatusOr<ItemPlace> PlaceOf(uint64_t item) const;

 private:
  TrainingText(const StageRecord& record, std::shared_ptr<const pipeline::Tokenizer> tokenizer,
               pipeline::PackedTokens tokens, pipeline::MixtureOrder order);
  absl::StatusOr<std::string> BeginningOf(uint64_t item) const;

  const jobs::DataSpec data_;
  const uint64_t batch_;
  const uint64_t item_chunks_;
  const std::shared_ptr<const pipeline::Tokenizer> tokenizer_;
  const pipeline::PackedTokens tokens_;
  const pipeline::MixtureOrder order_;
  std::unique_ptr<storage::LatentReader> latents_;
  std::unique_ptr<pipeline::WindowLoader> windows_;  // with latents_
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_AUDIT_TRAINING_TEXT_H_
