#include <rocksdb/db.h>

#include "base/env.h"
#include "storage/cache_format.h"
#include "storage/cache_manifest.h"
#include "storage/page_cache.h"
#include "storage/rocks.h"

namespace halcyon::storage {
namespace {

constexpr size_t kVerifyReadaheadBytes = 2 << 20;

class RocksReader : public CacheReader {
 public:
  RocksReader(std::string dir, CacheManifest manifest, std::unique_ptr<rocksdb::DB> db)
      : dir_(std::move(dir)), manifest_(std::move(manifest)), db_(std::move(db)) {}

  // The manifest's digest is over the shards', so reading the records also verifies the manifest.
  absl::Status ReadRecords() {
    RETURN_IF_ERROR(CheckDataset(manifest_.dataset), JoinPath(dir_, kManifestName));
    for (uint32_t shard = 0; shard < manifest_.shards; ++shard) {
      std::string value;
      const rocksdb::Status status =
          db_->Get(rocksdb::ReadOptions(), EncodeRecordKey(manifest_.dataset, shard), &value);
      if (status.IsNotFound()) {
        return DataLoss(dir_ + ": the record of shard " + std::to_string(shard) + " is missing");
      }
      RETURN_IF_ERROR(FromRocks(status, dir_));
      ASSIGN_OR_RETURN(ShardRecord record, DecodeRecord(shard, value), dir_);
      if (record.dataset != manifest_.dataset) {
        return DataLoss(dir_ + ": shard " + std::to_string(shard) + " is of data set " +
                        record.dataset + ", the manifest says " + manifest_.dataset);
      }
      shards_.push_back(std::move(record));
    }
    if (DatasetDigest(shards_) == manifest_.content_digest) return absl::OkStatus();
    return DataLoss(dir_ + ": the content digest of its shards is " + DatasetDigest(shards_) +
                    ", the manifest says " + manifest_.content_digest);
  }

  const std::string& dataset() const override { return manifest_.dataset; }
  const std::string& content_digest() const override { return manifest_.content_digest; }
  const std::vector<ShardRecord>& shards() const override { return shards_; }

  absl::StatusOr<std::string> Get(const PageKey& key) override {
    std::string value;
    const rocksdb::Status status =
        db_->Get(rocksdb::ReadOptions(), EncodeKey(manifest_.dataset, key), &value);
    RETURN_IF_ERROR(FromRocks(status, dir_ + ": " + Describe(key)));
    RETURN_IF_ERROR(VerifyPage(key, value), dir_);
    return value;
  }

  absl::Status Verify() override {
    RETURN_IF_ERROR(VerifyFiles(dir_, manifest_));
    rocksdb::ReadOptions options;
    options.readahead_size = kVerifyReadaheadBytes;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    it->SeekToFirst();
    for (const ShardRecord& record : shards_) RETURN_IF_ERROR(VerifyShard(it.get(), record), dir_);
    RETURN_IF_ERROR(FromRocks(it->status(), dir_));
    if (it->Valid()) return DataLoss(dir_ + ": holds more than its shards");
    return absl::OkStatus();
  }

 private:
  absl::Status VerifyShard(rocksdb::Iterator* it, const ShardRecord& record) {
    ShardDigest digest;
    uint64_t pages = 0;
    const std::string record_key = EncodeRecordKey(manifest_.dataset, record.shard);
    for (; it->Valid() && it->key().ToStringView() < record_key; it->Next(), ++pages) {
      ASSIGN_OR_RETURN(const CacheKey key, DecodeKey(it->key().ToStringView()));
      RETURN_IF_ERROR(VerifyPage(key.page, it->value().ToStringView()));
      digest.Add(key.page, it->value().ToStringView());
    }
    RETURN_IF_ERROR(FromRocks(it->status(), "cannot read"));
    if (it->Valid()) it->Next();
    if (pages == record.pages && digest.HexDigest() == record.content_digest) {
      return absl::OkStatus();
    }
    return DataLoss("shard " + std::to_string(record.shard) + ": its " + std::to_string(pages) +
                    " pages are not the " + std::to_string(record.pages) +
                    " that its record describes");
  }

  std::string dir_;
  CacheManifest manifest_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<ShardRecord> shards_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CacheReader>> CacheReader::Open(const std::string& dir,
                                                               const std::string& dataset) {
  ASSIGN_OR_RETURN(CacheManifest manifest, LoadManifest(dir));
  if (!dataset.empty() && manifest.dataset != dataset) {
    return FailedPrecondition(dir + ": holds data set " + manifest.dataset + ", expected " +
                              dataset);
  }
  rocksdb::DB* raw = nullptr;
  RETURN_IF_ERROR(
      FromRocksOpen(rocksdb::DB::OpenForReadOnly(CacheOptions(), dir, &raw), "cannot open " + dir));
  auto reader =
      std::make_unique<RocksReader>(dir, std::move(manifest), std::unique_ptr<rocksdb::DB>(raw));
  RETURN_IF_ERROR(reader->ReadRecords());
  return reader;
}

}  // namespace halcyon::storage
