#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>

#include "absl/strings/escaping.h"
#include "base/env.h"
#include "storage/cache_format.h"
#include "storage/page_cache.h"
#include "storage/rocks.h"

namespace halcyon::storage {
namespace {

class SstShardWriter : public ShardWriter {
 public:
  SstShardWriter(std::string path, ShardRecord record)
      : path_(std::move(path)),
        temporary_(path_ + ".tmp"),
        record_(std::move(record)),
        // The owner reads the file at once to verify it: leave it in the page cache.
        writer_(rocksdb::EnvOptions(), CacheOptions(), /*column_family=*/nullptr,
                /*invalidate_page_cache=*/false) {}

  ~SstShardWriter() override {
    // An unfinished file is useless and takes space. A failure to remove it is ignored: the next
    // attempt truncates the file.
    if (!finished_ && Env::Posix()->Exists(temporary_)) {
      static_cast<void>(Env::Posix()->RemoveFile(temporary_));
    }
  }

  absl::Status Open() { return FromRocks(writer_.Open(temporary_), "cannot create " + temporary_); }

  absl::Status Add(const PageKey& key, std::string_view value) override {
    if (key.shard != record_.shard) {
      return InvalidArgument(Describe(key) + " does not belong to " + path_);
    }
    RETURN_IF_ERROR(VerifyPage(key, value));
    RETURN_IF_ERROR(Put(EncodeKey(record_.dataset, key), value));
    digest_.Add(key, value);
    ++record_.pages;
    return absl::OkStatus();
  }

  absl::StatusOr<SstFile> Finish(std::map<std::string, uint64_t> counts) override {
    record_.counts = std::move(counts);
    record_.content_digest = digest_.HexDigest();
    RETURN_IF_ERROR(Put(EncodeRecordKey(record_.dataset, record_.shard), EncodeRecord(record_)));
    rocksdb::ExternalSstFileInfo info;
    RETURN_IF_ERROR(FromRocks(writer_.Finish(&info), "cannot finish " + temporary_));
    RETURN_IF_ERROR(Env::Posix()->Rename(temporary_, path_));
    finished_ = true;
    RETURN_IF_ERROR(Env::Posix()->SyncDir(DirName(path_)));
    return SstFile{path_, absl::BytesToHexString(info.file_checksum), info.file_size};
  }

 private:
  absl::Status Put(const std::string& key, std::string_view value) {
    const rocksdb::Status status = writer_.Put(key, rocksdb::Slice(value.data(), value.size()));
    if (status.IsInvalidArgument()) {
      return InvalidArgument(path_ + ": pages must be added in order: " + status.ToString());
    }
    return FromRocks(status, "cannot write " + temporary_);
  }

  std::string path_, temporary_;
  ShardRecord record_;
  rocksdb::SstFileWriter writer_;
  ShardDigest digest_;
  bool finished_ = false;
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
  auto writer = std::make_unique<SstShardWriter>(path, std::move(record));
  RETURN_IF_ERROR(writer->Open());
  return writer;
}

}  // namespace halcyon::storage
