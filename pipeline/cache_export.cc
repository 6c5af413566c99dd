#include "pipeline/cache_export.h"

#include <array>
#include <memory>
#include <string_view>
#include <utility>

#include "base/env.h"
#include "pipeline/npy.h"
#include "storage/cache_format.h"
#include "storage/half.h"

namespace halcyon::pipeline {
namespace {

using storage::Element;
using storage::PageKey;
using storage::PageKind;
using storage::Split;

struct Stream {
  PageKind kind;
  std::string_view count;  // of its rows, in the shards' records
  std::string_view name;   // of its array
};
constexpr std::array<Stream, 3> kStreams = {{{PageKind::kTokens, "tokens", "tokens"},
                                             {PageKind::kDocumentLengths, "documents", "lengths"},
                                             {PageKind::kLatents, "chunks", "latents"}}};

absl::StatusOr<std::string> TypeOf(Element element) {
  switch (element) {
    case Element::kU16:
      return "<u2";
    case Element::kU32:
      return "<u4";
    case Element::kF16:
      return "<f2";
    case Element::kBF16:
    case Element::kF32:
      return "<f4";
    case Element::kJson:
      break;
  }
  return DataLoss("a page of text among those of numbers");
}

// The payload as the array holds it.
std::string WidenedBFloat16s(std::string_view payload) {
  std::vector<float> values(payload.size() / 2);
  storage::DecodeBFloat16s(payload.data(), values);
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

class StreamExport {
 public:
  StreamExport(storage::CacheReader& cache, Split split, const Stream& stream)
      : cache_(cache), split_(split), stream_(stream) {
    for (uint32_t shard = 0; shard < cache_.shards(); ++shard) rows_ += RowsOf(shard);
  }

  uint64_t rows() const { return rows_; }

  // REQUIRES: rows() is not 0.
  absl::StatusOr<ExportedArray> Write(const std::string& dir) {
    array_.path = JoinPath(
        dir, std::string(storage::NameOf(split_)) + "_" + std::string(stream_.name) + ".npy");
    for (uint32_t shard = 0; shard < cache_.shards(); ++shard) {
      PageKey key{shard, split_, stream_.kind, 0};
      for (uint64_t rows = 0; rows < RowsOf(shard); ++key.page) {
        RETURN_IF_ERROR(VisitExpected(cache_, key, 1, [&](const PageKey&, std::string_view value) {
          return WritePage(key, value, &rows);
        }));
      }
    }
    RETURN_IF_ERROR(writer_->Close());
    return std::move(array_);
  }

 private:
  uint64_t RowsOf(uint32_t shard) const { return cache_.Count(shard, split_, stream_.count); }

  // The first page says what the values are.
  absl::Status Begin(const storage::Page& page) {
    ASSIGN_OR_RETURN(array_.type, TypeOf(page.element));
    array_.shape = {rows_};
    if (stream_.kind == PageKind::kLatents) array_.shape.push_back(page.width);
    ASSIGN_OR_RETURN(writer_, NpyWriter::Create(array_.path, array_.type, array_.shape));
    return absl::OkStatus();
  }

  // Adds those of the page to `rows`.
  absl::Status WritePage(const PageKey& key, std::string_view value, uint64_t* rows) {
    ASSIGN_OR_RETURN(const storage::Page page, storage::ParsePage(key, value));
    if (writer_ == nullptr) RETURN_IF_ERROR(Begin(page));
    ASSIGN_OR_RETURN(const std::string type, TypeOf(page.element));
    const uint64_t width = array_.shape.size() == 1 ? 1 : array_.shape[1];
    if (type != array_.type || page.width != width || page.count == 0) {
      return DataLoss(Describe(key) + ": values of another kind than on the pages before");
    }
    *rows += page.count;
    if (page.element == Element::kBF16) return writer_->Append(WidenedBFloat16s(page.payload));
    return writer_->Append(page.payload);
  }

  storage::CacheReader& cache_;
  const Split split_;
  const Stream& stream_;
  uint64_t rows_ = 0;
  ExportedArray array_;
  std::unique_ptr<NpyWriter> writer_;
};

}  // namespace

absl::StatusOr<std::vector<ExportedArray>> ExportCache(storage::CacheReader& cache,
                                                       const std::string& dir) {
  std::vector<ExportedArray> arrays;
  for (const Split split : {Split::kTrain, Split::kHeldout}) {
    for (const Stream& stream : kStreams) {
      StreamExport one(cache, split, stream);
      if (one.rows() == 0) continue;
      ASSIGN_OR_RETURN(ExportedArray array, one.Write(dir));
      arrays.push_back(std::move(array));
    }
  }
  return arrays;
}

}  // namespace halcyon::pipeline
