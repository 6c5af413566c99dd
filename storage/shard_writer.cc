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
    RETURN_IF_ERROR(output_->Put(EncodeKey(record_.dataset, key), value));
    digest_.Add(key, value);
    ++record_.pages;
    return absl::OkStatus();
  }

  absl::StatusOr<SstFile> Finish(std::map<std::string, uint64_t> counts) override {
    record_.counts = std::move(counts);
    record_.content_digest = digest_.HexDigest();
    RETURN_IF_ERROR(
        output_->Put(EncodeRecordKey(record_.dataset, record_.shard), EncodeRecord(record_)));
    return output_->Finish();
  }

 private:
  const std::string path_;
  ShardRecord record_;
  std::unique_ptr<SstOutput> output_;
  ShardDigest digest_;
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
