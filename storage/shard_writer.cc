#include <utility>

#include "storage/cache_format.h"
#include "storage/page_cache.h"
#include "storage/sst_output.h"

namespace halcyon::storage {
namespace {

class SstShardWriter : public ShardWriter {
 public:
  SstShardWriter(std::string path, ShardRecord record, std::unique_ptr<SstOutput> output)
      : path_(std::move(path)), record_(std::move(record)), output_(std::move(output)) {}

  absl::Status Add(const PageKey& key, std::string_view value) override {
    if (key.shard != record_.shard) {
      return InvalidArgument(Describe(key) + " does not belong to " + path_);
    }
    RETURN_IF_ERROR(VerifyPage(key, value));
    if (record_.pages > 0 && key <= last_) {
      return InvalidArgument(path_ + ": " + Describe(key) + " after " + Describe(last_));
    }
    if (!Continues(key, value)) RETURN_IF_ERROR(PutExtent());
    if (extent_.empty()) page_bytes_ = value.size();
    extent_ += value;
    last_ = key;
    digest_.Add(key, value);
    ++record_.pages;
    return absl::OkStatus();
  }

  absl::StatusOr<SstFile> Finish(std::map<std::string, uint64_t> counts) override {
    RETURN_IF_ERROR(PutExtent());
    record_.counts = std::move(counts);
    record_.content_digest = digest_.HexDigest();
    RETURN_IF_ERROR(
        output_->Put(EncodeRecordKey(record_.dataset, record_.shard), EncodeRecord(record_)));
    return output_->Finish();
  }

 private:
  // Whether the extent may have this page, too: all before it are of the first one's size.
  bool Continues(const PageKey& key, std::string_view value) const {
    PageKey next = last_;
    ++next.page;
    return key == next && extent_.size() % page_bytes_ == 0 && value.size() <= page_bytes_ &&
           extent_.size() + value.size() <= kExtentBytes;
  }

  absl::Status PutExtent() {
    if (extent_.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(output_->Put(EncodeKey(record_.dataset, last_), extent_));
    extent_.clear();
    return absl::OkStatus();
  }

  const std::string path_;
  ShardRecord record_;
  std::unique_ptr<SstOutput> output_;
  ShardDigest digest_;
  std::string extent_;     // not written yet
  size_t page_bytes_ = 1;  // of its first page
  PageKey last_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ShardWriter>> ShardWriter::Create(const std::string& path,
                                                                 const std::string& dataset,
                                                                 uint32_t shard, uint64_t fence) {
  RETURN_IF_ERROR(CheckDataset(dataset));
  ShardRecord record;
  record.dataset = dataset;
  record.shard = shard;
  record.fence = fence;
  ASSIGN_OR_RETURN(auto output, SstOutput::Create(path));
  return std::make_unique<SstShardWriter>(path, std::move(record), std::move(output));
}

}  // namespace halcyon::storage
