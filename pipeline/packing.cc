#include "pipeline/packing.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.h"
#include "pipeline/sample_order.h"

namespace halcyon::pipeline {
namespace {

size_t At(Split split) { return static_cast<size_t>(split); }

// Index of the interval that holds `value`; bounds[i] is where interval i begins, the last element
// where the last one ends. Empty intervals hold nothing. REQUIRES: bounds[0] <= value < the last.
size_t IntervalOf(const std::vector<uint64_t>& bounds, uint64_t value) {
  return std::upper_bound(bounds.begin(), bounds.end(), value) - bounds.begin() - 1;
}

absl::Status PastEnd(uint64_t first, uint64_t chunks, uint64_t there) {
  return InvalidArgument("chunks " + std::to_string(first) + " to " +
                         std::to_string(first + chunks) + " asked for, " + std::to_string(there) +
                         " are there");
}

}  // namespace

std::vector<bool> ChooseShards(uint32_t shards, double fraction, uint32_t heldout) {
  HALCYON_CHECK(fraction > 0 && fraction <= 1 && heldout <= shards);
  constexpr uint64_t kOrderSeed = 0;
  std::vector<bool> chosen(shards, false);
  shards -= heldout;
  if (shards == 0) return chosen;
  const auto wanted = static_cast<uint32_t>(std::lround(fraction * shards));
  const SampleOrder order(kOrderSeed, shards);
  for (uint32_t i = 0; i < std::clamp(wanted, 1u, shards); ++i) chosen[order.ItemAt(i)] = true;
  return chosen;
}

absl::StatusOr<std::unique_ptr<Packing>> Packing::Build(storage::TokenReader* tokens,
                                                        const PackingRule& rule,
                                                        const std::vector<bool>& train_shards) {
  HALCYON_CHECK(rule.chunk_size >= 1);
  HALCYON_CHECK(train_shards.empty() || train_shards.size() == tokens->shards());
  std::unique_ptr<Packing> packing(new Packing(tokens, rule));
  packing->streams_.resize(tokens->shards());
  for (int s = 0; s < storage::kSplits; ++s) {
    packing->shard_chunk_[s].push_back(0);
    packing->shard_document_[s].push_back(0);
    for (uint32_t shard = 0; shard < tokens->shards(); ++shard) {
      ASSIGN_OR_RETURN(const std::vector<uint32_t> lengths,
                       tokens->DocumentLengths(shard, static_cast<Split>(s)));
      Stream& stream = packing->streams_[shard][s];
      stream.first_chunk.reserve(lengths.size() + 1);
      stream.first_token.reserve(lengths.size() + 1);
      uint64_t chunk = 0, token = 0;
      for (const uint32_t length : lengths) {
        stream.first_chunk.push_back(chunk);
        stream.first_token.push_back(token);
        chunk += (uint64_t{length} + rule.chunk_size) / rule.chunk_size;  // with the end-of-text
        token += length;
      }
      stream.first_chunk.push_back(chunk);
      stream.first_token.push_back(token);
      const bool in_stream =
          static_cast<Split>(s) != Split::kTrain || train_shards.empty() || train_shards[shard];
      if (!in_stream) chunk = 0;
      packing->shard_chunk_[s].push_back(packing->shard_chunk_[s].back() + chunk);
      packing->shard_document_[s].push_back(packing->shard_document_[s].back() + lengths.size());
    }
  }
  return packing;
}

uint64_t Packing::Chunks(Split split) const { return shard_chunk_[At(split)].back(); }

uint32_t Packing::shards() const { return static_cast<uint32_t>(streams_.size()); }

uint64_t Packing::FirstChunkOfShard(uint32_t shard, Split split) const {
  return shard_chunk_[At(split)][shard];
}

uint64_t Packing::ChunksOfShard(uint32_t shard, Split split) const {
  return streams_[shard][At(split)].first_chunk.back();
}

Packing::Place Packing::Locate(Split split, uint64_t chunk) const {
  HALCYON_CHECK(chunk < Chunks(split));
  const std::vector<uint64_t>& bounds = shard_chunk_[At(split)];
  const size_t shard = IntervalOf(bounds, chunk);
  return {static_cast<uint32_t>(shard), chunk - bounds[shard]};
}

absl::Status Packing::Tokens(Split split, uint64_t first, std::span<uint32_t> out) const {
  HALCYON_CHECK(out.size() % rule_.chunk_size == 0);
  uint64_t chunks = out.size() / rule_.chunk_size;
  if (first > Chunks(split) || chunks > Chunks(split) - first) {
    return PastEnd(first, chunks, Chunks(split));
  }
  while (chunks > 0) {
    const Place place = Locate(split, first);
    const uint64_t here = std::min(chunks, ChunksOfShard(place.shard, split) - place.chunk);
    RETURN_IF_ERROR(
        TokensOfShard(place.shard, split, place.chunk, out.first(here * rule_.chunk_size)));
    out = out.subspan(here * rule_.chunk_size);
    first += here;
    chunks -= here;
  }
  return absl::OkStatus();
}

absl::Status Packing::TokensOfShard(uint32_t shard, Split split, uint64_t first,
                                    std::span<uint32_t> out) const {
  HALCYON_CHECK(shard < shards() && out.size() % rule_.chunk_size == 0);
  if (out.empty()) return absl::OkStatus();
  const Stream& stream = streams_[shard][At(split)];
  const uint64_t end = first + out.size() / rule_.chunk_size;
  if (end > stream.first_chunk.back()) {
    return PastEnd(first, end - first, stream.first_chunk.back());
  }
  // The token at which a chunk begins; a document's end for a chunk of end-of-text and padding.
  const auto token_of = [&](uint64_t chunk, size_t document) {
    const uint64_t offset = (chunk - stream.first_chunk[document]) * rule_.chunk_size;
    return std::min(stream.first_token[document] + offset, stream.first_token[document + 1]);
  };
  size_t document = IntervalOf(stream.first_chunk, first);
  const size_t last = IntervalOf(stream.first_chunk, end - 1);
  const uint64_t begin_token = token_of(first, document);
  std::vector<uint32_t> tokens(token_of(end, last) - begin_token);
  RETURN_IF_ERROR(tokens_->Read(shard, split, begin_token, tokens));

  auto from = tokens.begin();
  auto to = out.begin();
  for (uint64_t chunk = first; chunk < end; ++document) {
    const uint64_t stop = std::min(end, stream.first_chunk[document + 1]);
    const auto filled = to + (stop - chunk) * rule_.chunk_size;
    const uint64_t count = token_of(stop, document) - token_of(chunk, document);
    to = std::copy_n(from, count, to);
    from += count;
    const bool has_end = stop == stream.first_chunk[document + 1];
    if (has_end) *to++ = rule_.end_of_text;
    to = std::fill_n(to, filled - to, rule_.padding);
    chunk = stop;
  }
  return absl::OkStatus();
}

uint64_t Packing::DocumentOf(Split split, uint64_t chunk) const {
  const Place place = Locate(split, chunk);
  return shard_document_[At(split)][place.shard] +
         IntervalOf(streams_[place.shard][At(split)].first_chunk, place.chunk);
}

uint64_t Packing::Documents(Split split) const { return shard_document_[At(split)].back(); }

}  // namespace halcyon::pipeline
