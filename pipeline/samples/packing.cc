#include "pipeline/samples/packing.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.h"
#include "pipeline/samples/sample_order.h"
#include "storage/cache_format.h"

namespace halcyon::pipeline {
namespace {

size_t At(Split split) { return static_cast<size_t>(split); }

// With its end-of-text.
uint64_t ChunksOfDocument(uint32_t length, uint32_t chunk_size) {
  return uint64_t{length / chunk_size} + 1;
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

// The documents of a shard and split, one after another.
class Packing::DocumentCursor {
 public:
  DocumentCursor(const Packing& packing, uint32_t shard, Split split)
      : packing_(packing), shard_(shard), split_(split) {}

  // To the document that has the chunk. REQUIRES: the shard has it.
  absl::Status Seek(uint64_t chunk) {
    const auto& starts = packing_.starts_[At(split_)];
    const auto marks =
        std::span(packing_.marks_[At(split_)])
            .subspan(starts[shard_].mark, starts[shard_ + 1].mark - starts[shard_].mark);
    const auto after =
        std::upper_bound(marks.begin(), marks.end(), chunk,
                         [](uint64_t value, const Mark& mark) { return value < mark.chunk; });
    const Mark& mark = *(after - 1);
    first_chunk_ = mark.chunk;
    first_token_ = mark.token;
    document_ = static_cast<uint64_t>(after - 1 - marks.begin()) * storage::kTokensPerPage;
    RETURN_IF_ERROR(LoadPage());
    while (chunk >= end_chunk()) RETURN_IF_ERROR(Next());
    return absl::OkStatus();
  }

  // REQUIRES: there is one.
  absl::Status Next() {
    first_chunk_ = end_chunk();
    first_token_ += length();
    ++document_;
    if (++at_ < count_) return absl::OkStatus();
    return LoadPage();
  }

  uint64_t document() const { return document_; }
  uint64_t end_chunk() const {
    return first_chunk_ + ChunksOfDocument(length(), packing_.rule_.chunk_size);
  }
  // The token at which a chunk of the document begins; its end for one of end-of-text and padding.
  uint64_t TokenOf(uint64_t chunk) const {
    return first_token_ +
           std::min<uint64_t>((chunk - first_chunk_) * packing_.rule_.chunk_size, length());
  }

 private:
  uint32_t length() const { return lengths_[at_]; }

  // From `document_` on.
  absl::Status LoadPage() {
    const uint64_t left = packing_.tokens_->Documents(shard_, split_) - document_;
    count_ = std::min<uint64_t>(left, lengths_.size());
    at_ = 0;
    HALCYON_CHECK(count_ > 0);
    return packing_.tokens_->ReadLengths(shard_, split_, document_,
                                         std::span(lengths_).first(count_));
  }

  const Packing& packing_;
  const uint32_t shard_;
  const Split split_;
  uint64_t document_ = 0, first_chunk_ = 0, first_token_ = 0;
  std::array<uint32_t, storage::kTokensPerPage> lengths_;
  size_t at_ = 0, count_ = 0;
};

absl::StatusOr<std::unique_ptr<Packing>> Packing::Build(storage::TokenReader* tokens,
                                                        const PackingRule& rule,
                                                        const std::vector<bool>& train_shards) {
  HALCYON_CHECK(rule.chunk_size >= 1);
  HALCYON_CHECK(train_shards.empty() || train_shards.size() == tokens->shards());
  std::unique_ptr<Packing> packing(new Packing(tokens, rule));
  for (const Split split : {Split::kTrain, Split::kHeldout}) {
    packing->starts_[At(split)].reserve(tokens->shards() + size_t{1});
    packing->starts_[At(split)].emplace_back();
    for (uint32_t shard = 0; shard < tokens->shards(); ++shard) {
      const bool in_stream = split != Split::kTrain || train_shards.empty() || train_shards[shard];
      RETURN_IF_ERROR(packing->AddShard(shard, split, in_stream));
    }
    packing->marks_[At(split)].shrink_to_fit();
  }
  return packing;
}

absl::Status Packing::AddShard(uint32_t shard, Split split, bool in_stream) {
  std::vector<uint32_t> lengths(tokens_->Documents(shard, split));
  RETURN_IF_ERROR(tokens_->ReadLengths(shard, split, 0, lengths));
  std::vector<Mark>& marks = marks_[At(split)];
  Mark mark;
  for (size_t i = 0; i < lengths.size(); ++i) {
    if (i % storage::kTokensPerPage == 0) marks.push_back(mark);
    mark.chunk += ChunksOfDocument(lengths[i], rule_.chunk_size);
    mark.token += lengths[i];
  }
  if (const uint64_t tokens = tokens_->Tokens(shard, split); mark.token != tokens) {
    return DataLoss("shard " + std::to_string(shard) + ": its documents have " +
                    std::to_string(mark.token) + " tokens, its record counts " +
                    std::to_string(tokens));
  }
  ShardStart& start = starts_[At(split)].back();
  start.chunks = mark.chunk;
  const ShardStart next{start.chunk + (in_stream ? mark.chunk : 0), start.document + lengths.size(),
                        marks.size(), 0};
  starts_[At(split)].push_back(next);
  return absl::OkStatus();
}

uint64_t Packing::Chunks(Split split) const { return starts_[At(split)].back().chunk; }

uint32_t Packing::shards() const { return tokens_->shards(); }

uint64_t Packing::FirstChunkOfShard(uint32_t shard, Split split) const {
  return starts_[At(split)][shard].chunk;
}

uint64_t Packing::ChunksOfShard(uint32_t shard, Split split) const {
  return starts_[At(split)][shard].chunks;
}

Packing::Place Packing::Locate(Split split, uint64_t chunk) const {
  HALCYON_CHECK(chunk < Chunks(split));
  const std::vector<ShardStart>& starts = starts_[At(split)];
  // The last one that begins there: those before hold nothing of the stream.
  const auto after =
      std::upper_bound(starts.begin(), starts.end(), chunk,
                       [](uint64_t value, const ShardStart& start) { return value < start.chunk; });
  return {static_cast<uint32_t>(after - 1 - starts.begin()), chunk - (after - 1)->chunk};
}

absl::Status Packing::Tokens(Split split, uint64_t first, std::span<uint32_t> out) const {
  HALCYON_CHECK(out.size() % rule_.chunk_size == 0);
  return ForEachShard(split, first, out.size() / rule_.chunk_size,
                      [&](uint32_t shard, uint64_t chunk, uint64_t count) {
                        const auto here = out.first(count * rule_.chunk_size);
                        out = out.subspan(here.size());
                        return TokensOfShard(shard, split, chunk, here);
                      });
}

absl::Status Packing::ForEachShard(Split split, uint64_t first, uint64_t chunks,
                                   UseShard use) const {
  if (first > Chunks(split) || chunks > Chunks(split) - first) {
    return PastEnd(first, chunks, Chunks(split));
  }
  while (chunks > 0) {
    const Place place = Locate(split, first);
    const uint64_t here = std::min(chunks, ChunksOfShard(place.shard, split) - place.chunk);
    RETURN_IF_ERROR(use(place.shard, place.chunk, here));
    first += here;
    chunks -= here;
  }
  return absl::OkStatus();
}

absl::Status Packing::TokensOfShard(uint32_t shard, Split split, uint64_t first,
                                    std::span<uint32_t> out) const {
  HALCYON_CHECK(shard < shards() && out.size() % rule_.chunk_size == 0);
  if (out.empty()) return absl::OkStatus();
  const uint64_t end = first + out.size() / rule_.chunk_size;
  if (end > ChunksOfShard(shard, split)) {
    return PastEnd(first, end - first, ChunksOfShard(shard, split));
  }
  // Ids without end-of-text and padding go to the end of `out`, and from there to their places: the
  // next id to be taken is never before the next place to be filled.
  DocumentCursor at(*this, shard, split);
  RETURN_IF_ERROR(at.Seek(first));
  const uint64_t begin_token = at.TokenOf(first);
  struct Part {
    uint64_t chunks, tokens;
    bool has_end;
  };
  std::vector<Part> parts;
  for (uint64_t chunk = first; chunk < end;) {
    const uint64_t stop = std::min(end, at.end_chunk());
    const bool has_end = stop == at.end_chunk();
    parts.push_back({stop - chunk, at.TokenOf(stop) - at.TokenOf(chunk), has_end});
    chunk = stop;
    if (chunk < end) RETURN_IF_ERROR(at.Next());
  }
  uint64_t count = 0;
  for (const Part& part : parts) count += part.tokens;
  RETURN_IF_ERROR(tokens_->Read(shard, split, begin_token, out.last(count)));
  auto from = out.end() - static_cast<ptrdiff_t>(count);
  auto to = out.begin();
  for (const Part& part : parts) {
    const auto filled = to + static_cast<ptrdiff_t>(part.chunks * rule_.chunk_size);
    to = std::copy(from, from + static_cast<ptrdiff_t>(part.tokens), to);
    from += static_cast<ptrdiff_t>(part.tokens);
    if (part.has_end) *to++ = rule_.end_of_text;
    to = std::fill_n(to, filled - to, rule_.padding);
  }
  return absl::OkStatus();
}

absl::Status Packing::DocumentsOf(Split split, uint64_t first, std::span<uint64_t> out) const {
  return ForEachShard(split, first, out.size(),
                      [&](uint32_t shard, uint64_t chunk, uint64_t count) -> absl::Status {
                        const uint64_t before = starts_[At(split)][shard].document;
                        DocumentCursor at(*this, shard, split);
                        RETURN_IF_ERROR(at.Seek(chunk));
                        for (uint64_t& document : out.first(count)) {
                          if (chunk == at.end_chunk()) RETURN_IF_ERROR(at.Next());
                          document = before + at.document();
                          ++chunk;
                        }
                        out = out.subspan(count);
                        return absl::OkStatus();
                      });
}

uint64_t Packing::Documents(Split split) const { return starts_[At(split)].back().document; }

}  // namespace halcyon::pipeline
