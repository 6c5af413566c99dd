#include "worker/inputs/window_tensors.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <string>

#include "storage/latent_format.h"
#include "worker/inputs/latent_batches.h"

namespace halcyon::worker {
namespace {

absl::StatusOr<at::Tensor> FirstVisible(const pipeline::WindowLoader& loader, pipeline::Split split,
                                        const std::vector<uint64_t>& windows) {
  const int64_t chunks = loader.window_chunks();
  at::Tensor first = at::empty({static_cast<int64_t>(windows.size()), chunks}, at::kLong);
  int64_t* out = first.data_ptr<int64_t>();
  for (const uint64_t window : windows) {
    ASSIGN_OR_RETURN(const std::vector<uint64_t> documents, loader.Documents(split, window));
    for (int64_t t = 0; t < chunks; ++t, ++out) {
      *out = t > 0 && documents[t] == documents[t - 1] ? out[-1] : t;
    }
  }
  return first;
}

// values: [chunks of the windows, latent]. `window_chunks` of them are a window.
absl::Status CheckFits(jobs::LatentFormat format, const at::Tensor& values, int64_t window_chunks) {
  // NaN fails the comparison as well.
  if ((values.abs() <= storage::LargestOf(format)).all().item<bool>()) return absl::OkStatus();
  const at::Tensor rows = values.cpu().contiguous();
  const auto width = static_cast<size_t>(rows.size(1));
  for (int64_t chunk = 0; chunk < rows.size(0); ++chunk) {
    RETURN_IF_ERROR(
        storage::CheckFits(format, {rows.const_data_ptr<float>() + chunk * rows.size(1), width}),
        "window " + std::to_string(chunk / window_chunks) + " of those read together, chunk " +
            std::to_string(chunk % window_chunks));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WindowTensors> LoadWindows(const pipeline::WindowLoader& loader,
                                          pipeline::Split split,
                                          const std::vector<uint64_t>& windows,
                                          bool document_mask) {
  std::vector<uint32_t> ids;
  std::vector<float> posteriors;
  for (const uint64_t window : windows) {
    RETURN_IF_ERROR(loader.Load(split, window, &ids, &posteriors));
  }
  const int64_t count = static_cast<int64_t>(windows.size());
  const int64_t chunks = loader.window_chunks();
  WindowTensors data;
  data.tokens =
      at::empty({count, chunks, static_cast<int64_t>(ids.size()) / (count * chunks)}, at::kLong);
  std::copy(ids.begin(), ids.end(), data.tokens.data_ptr<int64_t>());
  if (document_mask) {
    ASSIGN_OR_RETURN(data.first_visible, FirstVisible(loader, split, windows));
  }
  const int64_t latent_size = loader.latent_size();
  if (latent_size == 0) return data;
  const at::Tensor both = at::empty({count * chunks, 2 * latent_size}, at::kFloat);
  std::copy(posteriors.begin(), posteriors.end(), both.data_ptr<float>());
  data.posterior.mean = both.narrow(1, 0, latent_size).contiguous();
  data.posterior.log_std = both.narrow(1, latent_size, latent_size).contiguous();
  return data;
}

at::Tensor AsStored(jobs::LatentFormat format, const at::Tensor& values) {
  switch (format) {
    case jobs::LatentFormat::kFloat16:
      return values.to(at::kHalf).to(at::kFloat);
    case jobs::LatentFormat::kBFloat16:
      return values.to(at::kBFloat16).to(at::kFloat);
    case jobs::LatentFormat::kFloat32:
      break;
  }
  return values;
}

absl::StatusOr<model::Posterior> EncodeWindows(model::Autoencoder& autoencoder,
                                               const at::Tensor& tokens,
                                               jobs::LatentFormat format) {
  c10::NoGradGuard no_grad;
  const at::Tensor chunks = tokens.reshape({-1, tokens.size(-1)});
  std::vector<at::Tensor> means, log_stds;
  for (const at::Tensor& batch : chunks.split(kLatentBatchChunks)) {
    const model::Posterior posterior = autoencoder.Encode(batch);
    means.push_back(posterior.mean);
    log_stds.push_back(posterior.log_std);
  }
  const model::Posterior exact = {at::cat(means), at::cat(log_stds)};
  for (const at::Tensor& values : {exact.mean, exact.log_std}) {
    RETURN_IF_ERROR(CheckFits(format, values, tokens.size(1)));
  }
  return model::Posterior{AsStored(format, exact.mean), AsStored(format, exact.log_std)};
}

model::Placement PlacementOf(const at::Tensor& first_visible, int64_t steps,
                             int64_t tokens_of_chunk) {
  model::Placement placement;
  if (!first_visible.defined()) return placement;
  placement.first_visible =
      (first_visible * tokens_of_chunk).repeat_interleave(tokens_of_chunk, 1).narrow(1, 0, steps);
  return placement;
}

Prediction ToPrediction(const WindowTensors& windows, bool with_latents) {
  const int64_t count = windows.tokens.size(0), chunks = windows.tokens.size(1);
  const int64_t latent = windows.posterior.mean.size(1);
  const auto by_window = [&](const at::Tensor& of_chunks) {
    return of_chunks.view({count, chunks, latent});
  };
  const auto next = [&](const at::Tensor& of_chunks) {
    return by_window(of_chunks).narrow(1, 1, chunks - 1).reshape({-1, latent});
  };
  Prediction prediction;
  prediction.tokens = windows.tokens.narrow(1, 0, chunks - 1);
  if (with_latents) prediction.latents = by_window(windows.posterior.mean).narrow(1, 0, chunks - 1);
  prediction.next = {next(windows.posterior.mean), next(windows.posterior.log_std)};
  return prediction;
}

}  // namespace halcyon::worker
