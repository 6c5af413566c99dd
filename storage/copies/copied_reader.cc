#include "storage/copies/copied_reader.h"

#include <atomic>
#include <utility>

#include "base/mutex.h"

namespace halcyon::storage {
namespace {

class CopiedReader : public CacheReader {
 public:
  CopiedReader(std::shared_ptr<const HostCopy> copy, std::unique_ptr<CacheReader> reader,
               std::string generation)
      : copy_(std::move(copy)), reader_(std::move(reader)), generation_(std::move(generation)) {}

  const std::string& dataset() const override { return reader_->dataset(); }
  const std::string& content_digest() const override { return reader_->content_digest(); }
  uint32_t shards() const override { return reader_->shards(); }
  uint64_t Count(uint32_t shard, Split split, std::string_view what) const override {
    return reader_->Count(shard, split, what);
  }
  absl::StatusOr<ShardRecord> Record(uint32_t shard) const override {
    return reader_->Record(shard);
  }

  absl::Status Visit(const PageKey& first, uint32_t pages, UsePage use) override {
    uint32_t used = 0;
    if (!has_failed_) {
      bool is_refused = false;
      const absl::Status read =
          reader_->Visit(first, pages, [&](const PageKey& key, std::string_view value) {
            const absl::Status status = use(key, value);
            is_refused = !status.ok();
            used += status.ok() ? 1 : 0;
            return status;
          });
      // A page that the index does not have is nowhere.
      if (read.ok() || is_refused || absl::IsNotFound(read)) return read;
      GiveUp(read);
    }
    ASSIGN_OR_RETURN(CacheReader * original, Original());
    PageKey key = first;
    key.page += used;
    return original->Visit(key, pages - used, use);
  }

  absl::Status Verify() override { return reader_->Verify(); }

 private:
  void GiveUp(const absl::Status& why) {
    if (!has_failed_.exchange(true)) copy_->Discard(why);
  }

  absl::StatusOr<CacheReader*> Original() {
    const MutexLock lock(&mutex_);
    if (original_ == nullptr) {
      ASSIGN_OR_RETURN(original_, CacheReader::Open(generation_, reader_->dataset()));
    }
    return original_.get();
  }

  const std::shared_ptr<const HostCopy> copy_;
  const std::unique_ptr<CacheReader> reader_;
  const std::string generation_;
  std::atomic<bool> has_failed_ = false;
  Mutex mutex_;
  std::unique_ptr<CacheReader> original_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<CacheReader>> OpenCopied(std::shared_ptr<const HostCopy> copy,
                                                        const std::string& generation,
                                                        const std::string& dataset) {
  auto reader = CacheReader::Open(copy->generation(), dataset);
  if (reader.ok()) {
    return std::make_unique<CopiedReader>(std::move(copy), *std::move(reader), generation);
  }
  copy->Discard(reader.status());
  return CacheReader::Open(generation, dataset);
}

}  // namespace halcyon::storage
