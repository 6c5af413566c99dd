#include "storage/token_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "storage/cache_format.h"

namespace halcyon::storage {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr uint32_t kVocabMaxOfU16 = 1 << 16;

std::string EncodeValues(Element element, std::span<const uint32_t> values) {
  std::string bytes(values.size() * BytesOf(element), '\0');
  if (element == Element::kU32) {
    if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const auto narrow = static_cast<uint16_t>(values[i]);
    std::memcpy(bytes.data() + 2 * i, &narrow, sizeof(narrow));
  }
  return bytes;
}

// Values first ... first + out.size() - 1 of a page.
void DecodeValues(const Page& page, uint64_t first, std::span<uint32_t> out) {
  const char* from = page.payload.data() + first * BytesOf(page.element);
  if (page.element == Element::kU32) {
    std::memcpy(out.data(), from, out.size_bytes());
    return;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t narrow;
    std::memcpy(&narrow, from + 2 * i, sizeof(narrow));
    out[i] = narrow;
  }
}

absl::Status AddPages(ShardWriter& writer, PageKey key, Element element,
                      std::span<const uint32_t> values) {
  for (size_t first = 0; first < values.size(); first += kTokensPerPage, ++key.page) {
    const auto part =
        values.subspan(first, std::min<size_t>(kTokensPerPage, values.size() - first));
    const std::string payload = EncodeValues(element, part);
    RETURN_IF_ERROR(writer.Add(
        key, EncodePage(key, {element, static_cast<uint32_t>(part.size()), 1, payload})));
  }
  return absl::OkStatus();
}

// Compares the page's header with the counts in the shard's record.
absl::StatusOr<Page> ParseExpected(const PageKey& key, std::string_view value, uint64_t count) {
  ASSIGN_OR_RETURN(const Page page, ParsePage(key, value));
  if (page.count == count && page.width == 1 &&
      (page.element == Element::kU16 || page.element == Element::kU32)) {
    return page;
  }
  return DataLoss(Describe(key) + ": holds " + std::to_string(page.count) + " values, expected " +
                  std::to_string(count));
}

uint64_t CountOnPage(uint64_t page, uint64_t total) {
  return std::min<uint64_t>(kTokensPerPage, total - page * kTokensPerPage);
}

}  // namespace

TokenShardWriter::TokenShardWriter(std::string path, std::string dataset, uint32_t shard,
                                   uint64_t fence, uint32_t vocab_size)
    : path_(std::move(path)),
      dataset_(std::move(dataset)),
      shard_(shard),
      fence_(fence),
      vocab_size_(vocab_size) {}

void TokenShardWriter::AddDocument(Split split, std::span<const uint32_t> tokens) {
  Stream& stream = streams_[static_cast<size_t>(split)];
  stream.tokens.insert(stream.tokens.end(), tokens.begin(), tokens.end());
  stream.lengths.push_back(static_cast<uint32_t>(tokens.size()));
}

absl::StatusOr<SstFile> TokenShardWriter::Finish(const std::map<std::string, uint64_t>& extra) {
  ASSIGN_OR_RETURN(auto writer, ShardWriter::Create(path_, dataset_, shard_, fence_));
  const Element element = vocab_size_ <= kVocabMaxOfU16 ? Element::kU16 : Element::kU32;
  std::map<std::string, uint64_t> counts = extra;
  for (const Split split : {Split::kTrain, Split::kHeldout}) {
    const Stream& stream = streams_[static_cast<size_t>(split)];
    const auto largest = std::max_element(stream.tokens.begin(), stream.tokens.end());
    if (largest != stream.tokens.end() && *largest >= vocab_size_) {
      return InvalidArgument("shard " + std::to_string(shard_) + ": token " +
                             std::to_string(*largest) + " in a vocabulary of " +
                             std::to_string(vocab_size_));
    }
    RETURN_IF_ERROR(
        AddPages(*writer, {shard_, split, PageKind::kTokens, 0}, element, stream.tokens));
    RETURN_IF_ERROR(AddPages(*writer, {shard_, split, PageKind::kDocumentLengths, 0}, Element::kU32,
                             stream.lengths));
    const std::string name(NameOf(split));
    counts[name + ".tokens"] = stream.tokens.size();
    counts[name + ".documents"] = stream.lengths.size();
  }
  return writer->Finish(std::move(counts));
}

TokenReader::TokenReader(std::unique_ptr<CacheReader> cache) : cache_(std::move(cache)) {
  counts_.resize(cache_->shards());
  for (uint32_t shard = 0; shard < cache_->shards(); ++shard) {
    for (const Split split : {Split::kTrain, Split::kHeldout}) {
      counts_[shard][static_cast<size_t>(split)] = {cache_->Count(shard, split, "tokens"),
                                                    cache_->Count(shard, split, "documents")};
    }
  }
}

uint32_t TokenReader::shards() const { return static_cast<uint32_t>(counts_.size()); }

uint64_t TokenReader::Tokens(uint32_t shard, Split split) const {
  HALCYON_CHECK(shard < counts_.size());
  return counts_[shard][static_cast<size_t>(split)].tokens;
}

uint64_t TokenReader::Documents(uint32_t shard, Split split) const {
  HALCYON_CHECK(shard < counts_.size());
  return counts_[shard][static_cast<size_t>(split)].documents;
}

absl::Status TokenReader::Read(uint32_t shard, Split split, uint64_t first,
                               std::span<uint32_t> out) {
  return ReadValues({shard, split, PageKind::kTokens, 0},
                    shard < shards() ? Tokens(shard, split) : 0, first, out);
}

absl::Status TokenReader::ReadLengths(uint32_t shard, Split split, uint64_t first,
                                      std::span<uint32_t> out) {
  return ReadValues({shard, split, PageKind::kDocumentLengths, 0},
                    shard < shards() ? Documents(shard, split) : 0, first, out);
}

absl::Status TokenReader::ReadValues(PageKey key, uint64_t total, uint64_t first,
                                     std::span<uint32_t> out) {
  if (key.shard >= shards() || first > total || out.size() > total - first) {
    return InvalidArgument(Describe(key) + " ...: values " + std::to_string(first) + " to " +
                           std::to_string(first + out.size()) + " asked for, " +
                           std::to_string(total) + " are there");
  }
  if (out.empty()) return absl::OkStatus();
  const uint64_t last_page = (first + out.size() - 1) / kTokensPerPage;
  key.page = static_cast<uint32_t>(first / kTokensPerPage);
  uint64_t within = first % kTokensPerPage;
  return VisitExpected(*cache_, key, static_cast<uint32_t>(last_page) - key.page + 1,
                       [&](const PageKey& at, std::string_view value) -> absl::Status {
                         ASSIGN_OR_RETURN(const Page page,
                                          ParseExpected(at, value, CountOnPage(at.page, total)));
                         const size_t take = std::min<uint64_t>(out.size(), page.count - within);
                         DecodeValues(page, within, out.first(take));
                         out = out.subspan(take);
                         within = 0;
                         return absl::OkStatus();
                       });
}

}  // namespace halcyon::storage
