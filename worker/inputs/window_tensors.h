// Windows of text as the language models take them.
#ifndef HALCYON_WORKER_INPUTS_WINDOW_TENSORS_H_
#define HALCYON_WORKER_INPUTS_WINDOW_TENSORS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"
#include "model/autoencoder.h"
#include "model/backbone.h"
#include "model/posterior.h"
#include "pipeline/samples/window_loader.h"

namespace halcyon::worker {

struct WindowTensors {
  at::Tensor tokens;           // int64 [windows, T, K]
  model::Posterior posterior;  // [windows * T, latent]; undefined where the loader has no latents
  // int64 [windows, T], of model::Placement; undefined without a document mask.
  at::Tensor first_visible = {};
};
// document_mask: with first_visible, where each chunk's document begins in its window.
absl::StatusOr<WindowTensors> LoadWindows(const pipeline::WindowLoader& loader,
                                          pipeline::Split split,
                                          const std::vector<uint64_t>& windows, bool document_mask);

// For chunks 0 ... steps - 1 of the windows: each is one step of the backbone, or `tokens_of_chunk`
// of them. Nothing set without a mask.
model::Placement PlacementOf(const at::Tensor& first_visible, int64_t steps,
                             int64_t tokens_of_chunk = 1);

// float32 as a cache of latents gives it back, on its device (storage/latent_format.h).
at::Tensor AsStored(jobs::LatentFormat format, const at::Tensor& values);

// Posteriors of the chunks as a cache of latents of that format gives them back, on the
// autoencoder's device: [windows * T, latent]. tokens: int64 [windows, T, K]. Encoded at most
// kLatentBatchChunks at a time. No gradients are kept. kInvalidArgument: a cache would refuse them
// (storage::CheckFits). Waits for the device.
absl::StatusOr<model::Posterior> EncodeWindows(model::Autoencoder& autoencoder,
                                               const at::Tensor& tokens, jobs::LatentFormat format);

// What CALM sees of windows, and what it is to predict: chunk t + 1 from chunks 0 ... t.
struct Prediction {
  at::Tensor tokens;      // [windows, T - 1, K]: all chunks but the last
  at::Tensor latents;     // [windows, T - 1, latent]: their posteriors' means; maybe undefined
  model::Posterior next;  // [windows * (T - 1), latent], contiguous: all chunks but the first
};
Prediction ToPrediction(const WindowTensors& windows, bool with_latents);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_INPUTS_WINDOW_TENSORS_H_
