#include <algorithm>
#include <array>
#include <utility>

#include "pipeline/tokenizer/batch_merger.h"
#include "pipeline/tokenizer/bpe_tokenizer.h"
#include "pipeline/tokenizer/piece_cache.h"

namespace halcyon::pipeline {
namespace {

class ByteBpeEncoder : public Encoder {
 public:
  explicit ByteBpeEncoder(std::shared_ptr<const BpeTokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)),
        spans_(tokenizer_->pattern()()),
        merger_(&tokenizer_->merges()) {}

  void Encode(std::string_view text, std::vector<uint32_t>* ids) override {
    spans_->Start(text);
    std::array<Span, PieceCache::kSpansMax> spans;
    for (size_t count = spans.size(); count == spans.size();) {
      count = spans_->NextSpans(spans.data(), spans.size());
      cache_.Find(text, {spans.data(), count}, ids, &missing_);
      if (missing_.size() >= kMissingMax) EncodeMissing(ids);
    }
    EncodeMissing(ids);
  }

 private:
  // Pieces that wait to be merged together; more of them would leave the nearer caches.
  static constexpr size_t kMissingMax = 128;

  // Encodes the pieces that are missing and inserts their ids.
  void EncodeMissing(std::vector<uint32_t>* ids) {
    if (missing_.empty()) return;
    found_.clear();
    parts_.resize(missing_.size());
    pieces_.clear();
    unmerged_.clear();
    for (size_t i = 0; i < missing_.size(); ++i) {
      if (const uint32_t* whole = tokenizer_->FindWhole(missing_[i].piece)) {
        parts_[i] = {found_.size(), 1};
        found_.push_back(*whole);
      } else {
        pieces_.push_back(missing_[i].piece);
        unmerged_.push_back(i);
      }
    }
    const size_t wholes = found_.size();
    merger_.Merge(pieces_, [this](size_t piece, std::span<const uint32_t> symbols) {
      parts_[unmerged_[piece]] = {found_.size(), symbols.size()};
      found_.insert(found_.end(), symbols.begin(), symbols.end());
    });
    // All at once, since the table is larger than the nearer caches of the processor.
    for (size_t i = wholes; i < found_.size(); ++i)
      found_[i] = tokenizer_->merges().IdOf(found_[i]);
    for (size_t i = 0; i < missing_.size(); ++i) {
      cache_.Put(missing_[i], {found_.data() + parts_[i].first, parts_[i].size});
    }
    InsertFound(ids);
    missing_.clear();
  }

  // From the last to the first, so that each id is moved once.
  void InsertFound(std::vector<uint32_t>* ids) {
    size_t from = ids->size(), to = from + found_.size();
    ids->resize(to);
    for (size_t i = missing_.size(); i-- > 0;) {
      const auto first = ids->begin() + static_cast<ptrdiff_t>(missing_[i].at);
      std::move_backward(first, ids->begin() + static_cast<ptrdiff_t>(from),
                         ids->begin() + static_cast<ptrdiff_t>(to));
      to -= from - missing_[i].at;
      from = missing_[i].at;
      to -= parts_[i].size;
      std::copy_n(found_.data() + parts_[i].first, parts_[i].size, ids->data() + to);
    }
  }

  struct Part {
    size_t first, size;
  };

  std::shared_ptr<const BpeTokenizer> tokenizer_;
  std::unique_ptr<SpanSource> spans_;
  BatchMerger merger_;
  PieceCache cache_;
  // Working memory of EncodeMissing.
  std::vector<PieceCache::Missing> missing_;
  std::vector<std::string_view> pieces_;  // that are to be merged
  std::vector<size_t> unmerged_;          // which of those missing they are
  std::vector<uint32_t> found_;           // the ids of all that are missing
  std::vector<Part> parts_;               // of found_, by those missing
};

}  // namespace

std::unique_ptr<Encoder> BpeTokenizer::NewEncoder() const {
  return std::make_unique<ByteBpeEncoder>(shared_from_this());
}

}  // namespace halcyon::pipeline
