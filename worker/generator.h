// Text from a trained CALM: draw latents, decode them to chunks, choose one at the temperature, go
// on.
#ifndef HALCYON_WORKER_GENERATOR_H_
#define HALCYON_WORKER_GENERATOR_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/status.h"
#include "model/autoencoder.h"
#include "model/calm_model.h"
#include "pipeline/packing.h"

namespace halcyon::worker {

struct GenerationOptions {
  int64_t chunks = 24;     // to generate at most
  double temperature = 1;  // 1, or 1/n by the batch approximation
  int64_t draws = 100;     // draws a chunk of the batch approximation
  uint64_t seed = 0;
  uint64_t text = 0;        // number of this text under the seed
  bool stop_at_end = true;  // at end-of-text; otherwise always `chunks` chunks (collective use)
};

// Not thread-safe. Owns neither network.
class Generator {
 public:
  Generator(model::CalmModel* model, model::Autoencoder* autoencoder,
            const pipeline::PackingRule& rule);

  // Continues `prompt` (ids, any length; may be empty: the start of a document). Returns the new
  // ids, without end-of-text and padding; `on_chunk` hears each chunk's ids as they come.
  // A prompt that is no multiple of K conditions the first new chunk on its leftover tokens: only
  // draws that begin with them are candidates; when none does, the first draw's rest is taken.
  // The context is the last window_chunks - 1 chunks. kInvalidArgument: temperature or ids.
  absl::StatusOr<std::vector<uint32_t>> Continue(
      std::span<const uint32_t> prompt, const GenerationOptions& options,
      const std::function<void(std::span<const uint32_t>)>& on_chunk = {});

 private:
  std::vector<int64_t> DrawChunk(const std::vector<int64_t>& context, int64_t draws,
                                 const GenerationOptions& options, int64_t chunk);

  model::CalmModel* model_;
  model::Autoencoder* autoencoder_;
  pipeline::PackingRule rule_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_GENERATOR_H_
