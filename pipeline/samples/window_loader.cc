#include "pipeline/samples/window_loader.h"

#include <algorithm>
#include <span>
#include <string>

#include "base/check.h"

namespace halcyon::pipeline {

WindowLoader::WindowLoader(const Packing* packing, storage::LatentReader* latents,
                           uint32_t window_chunks)
    : packing_(packing), latents_(latents), window_chunks_(window_chunks) {
  HALCYON_CHECK(window_chunks >= 1);
}

uint64_t WindowLoader::Windows(Split split) const {
  return packing_->Chunks(split) / window_chunks_;
}

absl::Status WindowLoader::Load(Split split, uint64_t window, std::vector<uint32_t>* tokens,
                                std::vector<float>* posteriors) const {
  HALCYON_CHECK(window < Windows(split));
  const uint64_t first = window * window_chunks_;
  const size_t old_tokens = tokens->size();
  tokens->resize(old_tokens + size_t{window_chunks_} * packing_->rule().chunk_size);
  RETURN_IF_ERROR(packing_->Tokens(split, first, std::span(*tokens).subspan(old_tokens)));

  if (latents_ == nullptr) return absl::OkStatus();
  const size_t row = 2 * size_t{latents_->latent_size()};
  const size_t old_posteriors = posteriors->size();
  posteriors->resize(old_posteriors + window_chunks_ * row);
  std::span<float> out = std::span(*posteriors).subspan(old_posteriors);
  for (uint64_t chunk = first; !out.empty();) {
    const Packing::Place place = packing_->Locate(split, chunk);
    const uint64_t there = packing_->ChunksOfShard(place.shard, split);
    // Latents are joined to tokens by position alone, so a mismatch must be refused.
    if (latents_->shards() != packing_->shards() || latents_->Chunks(place.shard, split) != there) {
      return FailedPrecondition("the latents of shard " + std::to_string(place.shard) +
                                " were made from other tokens or another chunk size");
    }
    const uint64_t here = std::min<uint64_t>(out.size() / row, there - place.chunk);
    RETURN_IF_ERROR(latents_->Read(place.shard, split, place.chunk, out.first(here * row)));
    out = out.subspan(here * row);
    chunk += here;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint64_t>> WindowLoader::Documents(Split split, uint64_t window) const {
  HALCYON_CHECK(window < Windows(split));
  std::vector<uint64_t> documents(window_chunks_);
  RETURN_IF_ERROR(packing_->DocumentsOf(split, window * window_chunks_, documents));
  return documents;
}

}  // namespace halcyon::pipeline
