// What storing latents as float16, bfloat16 or float32 does to what is read back from them: of the
// held-out tokens of a job, which share the decoder gives back from the stored mean and from a draw
// of the stored posterior, with the same noise for each format; and the rounding error of a mean in
// units of its posterior's standard deviation.
//
//   latent_format_bench TOKENIZER TOKENS AUTOENCODER   (folders in HOME/artifacts)
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "base/standard_output.h"
#include "bench/scratch_cache.h"
#include "model/noise.h"
#include "storage/latent_format.h"
#include "worker/inputs/artifacts.h"
#include "worker/inputs/latent_batches.h"
#include "worker/inputs/window_tensors.h"

namespace halcyon::worker {
namespace {

using jobs::LatentFormat;
using storage::Must;
using storage::Split;

struct Sums {
  double from_mean = 0, from_draw = 0;  // tokens that came back
  double squared_error = 0;             // of means, in standard deviations
};

struct Text {
  at::Tensor tokens;   // int64 [chunks, K]
  at::Tensor counted;  // where they are no padding
  at::Tensor rows;     // float32 [chunks, 2 * latent]
  at::Tensor noise;    // [chunks, latent]
};

Text Encoded(model::Autoencoder& autoencoder, const pipeline::Packing& packing, uint32_t shard,
             const LatentBatch& batch) {
  const int64_t size = autoencoder.spec().chunk_size;
  std::vector<uint32_t> ids(batch.count * static_cast<uint64_t>(size));
  HALCYON_CHECK(packing.TokensOfShard(shard, batch.split, batch.first, ids).ok());
  const std::vector<int64_t> wide(ids.begin(), ids.end());
  std::vector<uint64_t> chunks(batch.count);
  std::iota(chunks.begin(), chunks.end(), batch.first);
  const model::NoiseRows noise{/*seed=*/1, NoiseStream::kEvaluation, /*step=*/shard, chunks};
  Text text;
  text.tokens = at::tensor(wide).view({-1, size});
  text.counted = text.tokens != static_cast<int64_t>(packing.rule().padding);
  text.rows = Must(EncodeBatch(autoencoder, packing, shard, batch));
  text.noise = noise.Normal({autoencoder.spec().latent_size});
  return text;
}

void Add(model::Autoencoder& autoencoder, const Text& text, LatentFormat format, Sums* sums) {
  const auto parts = AsStored(format, text.rows).chunk(2, 1);
  const at::Tensor mean = parts[0].contiguous(), log_std = parts[1];
  const auto right = [&](const at::Tensor& latents) {
    const at::Tensor equal = autoencoder.DecodeTokens(latents) == text.tokens;
    return equal.logical_and(text.counted).sum().item<double>();
  };
  sums->from_mean += right(mean);
  sums->from_draw += right(mean + at::exp(log_std) * text.noise);
  const auto exact = text.rows.chunk(2, 1);
  const at::Tensor error = (mean - exact[0]) / at::exp(exact[1]);
  sums->squared_error += error.square().sum().item<double>();
}

void Report(const ArtifactInputs& inputs) {
  constexpr LatentFormat kFormats[] = {LatentFormat::kFloat32, LatentFormat::kFloat16,
                                       LatentFormat::kBFloat16};
  c10::NoGradGuard no_grad;
  const auto tokenizer = Must(OpenTokenizer(inputs));
  const auto autoencoder = Must(OpenAutoencoder(*Env::Posix(), inputs, c10::kCPU));
  const PackedTokens text = Must(OpenPackedTokens(inputs, *tokenizer, autoencoder->spec()));
  Sums sums[std::size(kFormats)];
  double tokens = 0, numbers = 0;
  for (uint32_t shard = 0; shard < text.packing->shards(); ++shard) {
    const uint64_t chunks = text.packing->ChunksOfShard(shard, Split::kHeldout);
    for (const LatentBatch& batch : LatentBatchesOf(0, chunks)) {
      const Text encoded = Encoded(*autoencoder, *text.packing, shard, batch);
      tokens += encoded.counted.sum().item<double>();
      numbers += static_cast<double>(encoded.noise.numel());
      for (size_t i = 0; i < std::size(kFormats); ++i) {
        Add(*autoencoder, encoded, kFormats[i], &sums[i]);
      }
    }
  }
  std::string out = fmt::format("{} held-out tokens\n", tokens);
  for (size_t i = 0; i < std::size(kFormats); ++i) {
    out +=
        fmt::format("{:9}  from the mean {:.4f} %, from a draw {:.4f} %; error {:.5f} std\n",
                    storage::NameOf(kFormats[i]), 100 * sums[i].from_mean / tokens,
                    100 * sums[i].from_draw / tokens, std::sqrt(sums[i].squared_error / numbers));
  }
  StandardOutput::OfProcess().Print(out);
}

}  // namespace
}  // namespace halcyon::worker

int main(int argc, char** argv) {
  HALCYON_CHECK(argc == 4 && "latent_format_bench TOKENIZER TOKENS AUTOENCODER");
  halcyon::worker::Report(
      {.paths = {{"tokenizer", argv[1]}, {"tokens", argv[2]}, {"autoencoder", argv[3]}},
       .digests = {}});
  return 0;
}
