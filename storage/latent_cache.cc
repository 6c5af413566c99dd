#include "storage/latent_cache.h"

#include <algorithm>

#include "base/check.h"
#include "storage/cache_format.h"

namespace halcyon::storage {
namespace {

std::string ChunksCount(Split split) { return std::string(NameOf(split)) + ".chunks"; }

size_t RowBytes(LatentFormat format, uint64_t width) { return width * BytesOf(ElementOf(format)); }

struct LatentPage {
  LatentFormat format;
  uint32_t count;  // chunks
  const char* rows;
};

// `left`: the chunks from the page's first one to the end of its stream.
absl::StatusOr<LatentPage> ParseExpectedLatents(const PageKey& key, std::string_view value,
                                                uint32_t latent_size, uint64_t left) {
  ASSIGN_OR_RETURN(const Page page, ParsePage(key, value));
  const std::optional<LatentFormat> format = LatentFormatOf(page.element);
  if (!format) return DataLoss(Describe(key) + ": its values are of no type that latents have");
  if (page.width != 2 * uint64_t{latent_size}) {
    return FailedPrecondition(Describe(key) + ": holds latents of size " +
                              std::to_string(page.width / 2) + ", expected " +
                              std::to_string(latent_size));
  }
  const uint64_t expected = std::min<uint64_t>(kChunksPerPage, left);
  if (page.count == expected) return LatentPage{*format, page.count, page.payload.data()};
  return DataLoss(Describe(key) + ": holds " + std::to_string(page.count) + " chunks, expected " +
                  std::to_string(expected));
}

}  // namespace

LatentShardWriter::LatentShardWriter(std::unique_ptr<ShardWriter> writer, uint32_t shard,
                                     uint32_t latent_size, LatentFormat format)
    : writer_(std::move(writer)),
      shard_(shard),
      latent_size_(latent_size),
      format_(format),
      counts_{{ChunksCount(Split::kTrain), 0}, {ChunksCount(Split::kHeldout), 0}} {}

absl::StatusOr<std::unique_ptr<LatentShardWriter>> LatentShardWriter::Create(
    const std::string& path, const std::string& dataset, uint32_t shard, uint64_t fence,
    uint32_t latent_size, LatentFormat format) {
  HALCYON_CHECK(latent_size > 0);
  ASSIGN_OR_RETURN(auto writer, ShardWriter::Create(path, dataset, shard, fence));
  return std::unique_ptr<LatentShardWriter>(
      new LatentShardWriter(std::move(writer), shard, latent_size, format));
}

absl::Status LatentShardWriter::Append(Split split, std::span<const float> posteriors) {
  const size_t width = 2 * size_t{latent_size_};
  if (posteriors.size() % width != 0) {
    return InvalidArgument(std::to_string(posteriors.size()) + " values are no whole rows of " +
                           std::to_string(width));
  }
  if (split < split_) return InvalidArgument("training chunks must come before held-out ones");
  if (split != split_) {
    RETURN_IF_ERROR(FlushPage());
    split_ = split;
    page_ = 0;
  }
  const size_t row_bytes = RowBytes(format_, width);
  uint64_t& chunks = counts_[ChunksCount(split)];
  for (size_t i = 0; i < posteriors.size(); i += width) {
    const auto row = posteriors.subspan(i, width);
    RETURN_IF_ERROR(CheckFits(format_, row),
                    "shard " + std::to_string(shard_) + ", chunk " + std::to_string(chunks));
    pending_.resize(pending_.size() + row_bytes);
    EncodeNumbers(format_, row, pending_.data() + pending_.size() - row_bytes);
    ++chunks;
    if (pending_.size() == row_bytes * kChunksPerPage) RETURN_IF_ERROR(FlushPage());
  }
  return absl::OkStatus();
}

absl::Status LatentShardWriter::FlushPage() {
  if (pending_.empty()) return absl::OkStatus();
  const uint32_t width = 2 * latent_size_;
  const PageKey key{shard_, split_, PageKind::kLatents, page_++};
  const auto count = static_cast<uint32_t>(pending_.size() / RowBytes(format_, width));
  RETURN_IF_ERROR(writer_->Add(key, EncodePage(key, {ElementOf(format_), count, width, pending_})));
  pending_.clear();
  return absl::OkStatus();
}

absl::StatusOr<SstFile> LatentShardWriter::Finish() {
  RETURN_IF_ERROR(FlushPage());
  return writer_->Finish(counts_);
}

LatentReader::LatentReader(std::unique_ptr<CacheReader> cache, uint32_t latent_size)
    : cache_(std::move(cache)), latent_size_(latent_size) {
  for (uint32_t shard = 0; shard < cache_->shards(); ++shard) {
    chunks_.push_back({cache_->Count(shard, Split::kTrain, "chunks"),
                       cache_->Count(shard, Split::kHeldout, "chunks")});
  }
}

uint32_t LatentReader::shards() const { return static_cast<uint32_t>(chunks_.size()); }

uint64_t LatentReader::Chunks(uint32_t shard, Split split) const {
  HALCYON_CHECK(shard < chunks_.size());
  return chunks_[shard][static_cast<size_t>(split)];
}

absl::Status LatentReader::Read(uint32_t shard, Split split, uint64_t first, std::span<float> out) {
  const size_t width = 2 * size_t{latent_size_};
  const uint64_t total = shard < shards() ? Chunks(shard, split) : 0;
  const uint64_t end = first + out.size() / width;
  if (out.size() % width != 0 || first > total || end > total) {
    return InvalidArgument("no chunks " + std::to_string(first) + " to " + std::to_string(end) +
                           " of " + std::to_string(width) + " values: shard " +
                           std::to_string(shard) + " has " + std::to_string(total));
  }
  if (first == end) return absl::OkStatus();
  const PageKey key{shard, split, PageKind::kLatents,
                    static_cast<uint32_t>(first / kChunksPerPage)};
  const auto pages = static_cast<uint32_t>((end - 1) / kChunksPerPage) - key.page + 1;
  uint64_t within = first % kChunksPerPage;
  return VisitExpected(*cache_, key, pages, [&](const PageKey& at, std::string_view value) {
    const auto page =
        ParseExpectedLatents(at, value, latent_size_, total - uint64_t{at.page} * kChunksPerPage);
    RETURN_IF_ERROR(page.status());
    const size_t take = std::min<uint64_t>(out.size() / width, page->count - within);
    DecodeNumbers(page->format, page->rows + RowBytes(page->format, width) * within,
                  out.first(take * width));
    out = out.subspan(take * width);
    within = 0;
    return absl::OkStatus();
  });
}

absl::StatusOr<LatentFormat> LatentReader::FormatAt(uint32_t shard, Split split, uint64_t chunk) {
  const uint64_t total = shard < shards() ? Chunks(shard, split) : 0;
  if (chunk >= total) {
    return InvalidArgument("no chunk " + std::to_string(chunk) + ": shard " +
                           std::to_string(shard) + " has " + std::to_string(total));
  }
  const PageKey key{shard, split, PageKind::kLatents,
                    static_cast<uint32_t>(chunk / kChunksPerPage)};
  LatentFormat format{};
  RETURN_IF_ERROR(VisitExpected(*cache_, key, 1, [&](const PageKey& at, std::string_view value) {
    const auto page =
        ParseExpectedLatents(at, value, latent_size_, total - uint64_t{at.page} * kChunksPerPage);
    if (page.ok()) format = page->format;
    return page.status();
  }));
  return format;
}

}  // namespace halcyon::storage
