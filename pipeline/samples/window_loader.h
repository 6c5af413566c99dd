// Training samples: windows of T consecutive chunks, with their posteriors where there are any.
#ifndef HALCYON_PIPELINE_SAMPLES_WINDOW_LOADER_H_
#define HALCYON_PIPELINE_SAMPLES_WINDOW_LOADER_H_

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "pipeline/samples/packing.h"
#include "storage/latent_cache.h"

namespace halcyon::pipeline {

// Window i of a split: chunks i*T ... i*T + T - 1 of the stream; the last chunks that fill no whole
// window are left out. Thread-safe. Owns neither; `latents` may be null.
class WindowLoader {
 public:
  WindowLoader(const Packing* packing, storage::LatentReader* latents, uint32_t window_chunks);
  uint64_t Windows(Split split) const;
  uint32_t window_chunks() const { return window_chunks_; }
  const Packing& packing() const { return *packing_; }
  // 0: without latents.
  uint32_t latent_size() const { return latents_ == nullptr ? 0 : latents_->latent_size(); }

  // Appends window `window` of the split: T*K ids and, with latents, float32 [T, 2*latent_size].
  absl::Status Load(Split split, uint64_t window, std::vector<uint32_t>* tokens,
                    std::vector<float>* posteriors) const;
  // The split's document index of each of the window's T chunks.
  absl::StatusOr<std::vector<uint64_t>> Documents(Split split, uint64_t window) const;

 private:
  const Packing* packing_;
  storage::LatentReader* latents_;
  uint32_t window_chunks_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SAMPLES_WINDOW_LOADER_H_
