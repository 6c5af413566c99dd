#include <rocksdb/db.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table_properties.h>
#include <rocksdb/utilities/checkpoint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/escaping.h"
#include "base/env.h"
#include "storage/cache_format.h"
#include "storage/cache_manifest.h"
#include "storage/hex.h"
#include "storage/page_cache.h"
#include "storage/rocks.h"

namespace halcyon::storage {
namespace {

constexpr size_t kCacheBufferBytes = 64 << 10;  // small, since data comes by ingestion only

std::string ChecksumName() {
  return rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator({})->Name();
}

// The record of a finished SST, after checking that all its keys belong to this shard.
absl::StatusOr<ShardRecord> ReadRecord(const std::string& path, const std::string& dataset,
                                       uint32_t shard) {
  rocksdb::SstFileReader reader(CacheOptions());
  RETURN_IF_ERROR(FromRocksOpen(reader.Open(path), "cannot read " + path));
  std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(rocksdb::ReadOptions()));
  const std::string record_key = EncodeRecordKey(dataset, shard);
  const std::string first_key = EncodeKey(dataset, {shard, Split::kTrain, PageKind::kTokens, 0});
  it->SeekToFirst();
  const bool starts_here = it->Valid() && it->key().ToStringView() >= first_key;
  it->SeekToLast();
  if (!it->Valid() || !starts_here || it->key().ToStringView() != record_key) {
    RETURN_IF_ERROR(FromRocks(it->status(), "cannot read " + path));
    return DataLoss(path + ": holds no record of shard " + std::to_string(shard) + " of data set " +
                    dataset + ", or pages of another");
  }
  ASSIGN_OR_RETURN(ShardRecord record, DecodeRecord(shard, it->value().ToStringView()), path);
  if (record.dataset != dataset) return DataLoss(path + ": is of data set " + record.dataset);
  if (const uint64_t entries = reader.GetTableProperties()->num_entries;
      entries != record.pages + 1) {
    return DataLoss(path + ": has " + std::to_string(entries) + " entries, its record counts " +
                    std::to_string(record.pages) + " pages");
  }
  return record;
}

class RocksBuilder : public CacheBuilder {
 public:
  RocksBuilder(std::unique_ptr<rocksdb::DB> db, std::string dataset)
      : db_(std::move(db)), dataset_(std::move(dataset)) {}

  // The database's own list of files says which shards are committed: an ingest adds one file,
  // which ends with the record of its shard. None but the first is opened.
  absl::Status FindCommitted() {
    std::vector<rocksdb::LiveFileMetaData> files;
    db_->GetLiveFilesMetaData(&files);
    for (const rocksdb::LiveFileMetaData& file : files) {
      ASSIGN_OR_RETURN(const CacheKey first, DecodeKey(file.smallestkey), db_->GetName());
      if (first.dataset_prefix != dataset_.substr(0, first.dataset_prefix.size())) {
        return OtherDataset(first.dataset_prefix + "...");
      }
      if (file.largestkey != EncodeRecordKey(dataset_, first.page.shard)) {
        return NoRecord(first.page.shard);
      }
      committed_.emplace(first.page.shard, std::nullopt);
    }
    // Keys have the start of the data set's name; a record has all of it.
    return committed_.empty() ? absl::OkStatus() : RecordOf(committed_.begin()->first).status();
  }

  std::set<uint32_t> Committed() const override {
    std::set<uint32_t> shards;
    for (const auto& [shard, record] : committed_) shards.insert(shards.end(), shard);
    return shards;
  }

  absl::StatusOr<ShardRecord> RecordOf(uint32_t shard) override {
    std::optional<ShardRecord>& record = committed_.at(shard);
    if (record) return *record;
    std::string value;
    const rocksdb::Status got =
        db_->Get(rocksdb::ReadOptions(), EncodeRecordKey(dataset_, shard), &value);
    if (got.IsNotFound()) return NoRecord(shard);
    RETURN_IF_ERROR(FromRocks(got, "cannot read " + db_->GetName()));
    ASSIGN_OR_RETURN(record, DecodeRecord(shard, value), db_->GetName());
    if (record->dataset != dataset_) return OtherDataset(record->dataset);
    return *record;
  }

  absl::StatusOr<ShardRecord> Ingest(const SstFile& file, uint32_t shard,
                                     uint64_t fence_min) override {
    if (committed_.count(shard) > 0) {
      return AlreadyExists("shard " + std::to_string(shard) + " is in");
    }
    const auto checksum = BytesFromHex(file.file_checksum);
    if (!checksum) {
      return InvalidArgument(file.path + ": not a checksum: '" + file.file_checksum + "'");
    }
    ASSIGN_OR_RETURN(ShardRecord record, ReadRecord(file.path, dataset_, shard));
    if (record.fence < fence_min) {
      return Aborted(file.path + ": was made under lease " + std::to_string(record.fence) +
                     ", which ended; the shard belongs to lease " + std::to_string(fence_min));
    }
    rocksdb::IngestExternalFileArg arg;
    arg.column_family = db_->DefaultColumnFamily();
    arg.external_files = {file.path};
    arg.files_checksums = {*checksum};
    arg.files_checksum_func_names = {ChecksumName()};
    arg.options.move_files = true;
    arg.options.failed_move_fall_back_to_copy = false;
    arg.options.write_global_seqno = false;  // it would change bytes that the checksum covers
    arg.options.verify_checksums_before_ingest = true;
    arg.options.fail_if_not_bottommost_level = true;
    RETURN_IF_ERROR(FromRocks(db_->IngestExternalFiles({arg}), "cannot take " + file.path + " in"));
    committed_[shard] = record;
    return record;
  }

  absl::StatusOr<Published> Publish(const std::string& dir, uint32_t shards) override {
    RETURN_IF_ERROR(CheckComplete(shards));
    Env& env = *Env::Posix();
    if (env.Exists(dir)) return AlreadyExists(dir + ": exists already");
    const std::string temporary = dir + ".tmp";
    RETURN_IF_ERROR(env.RemoveTree(temporary));
    RETURN_IF_ERROR(LinkFiles(temporary));
    CacheManifest manifest;
    Published published;
    std::vector<ShardRecord> records;
    for (const auto& [shard, known] : committed_) {
      ASSIGN_OR_RETURN(const ShardRecord record, RecordOf(shard));
      records.push_back(record);
      for (const auto& [name, count] : record.counts) published.counts[name] += count;
    }
    manifest.dataset = dataset_;
    manifest.shards = shards;
    manifest.content_digest = published.content_digest = DatasetDigest(records);
    ASSIGN_OR_RETURN(manifest.files, DescribeFiles(temporary));
    for (const CacheManifest::File& file : manifest.files) published.bytes += file.bytes;
    RETURN_IF_ERROR(
        WriteFileAtomically(env, JoinPath(temporary, kManifestName), EncodeManifest(manifest)));
    RETURN_IF_ERROR(env.Rename(temporary, dir));
    RETURN_IF_ERROR(env.SyncDir(DirName(dir)));
    return published;
  }

 private:
  absl::Status NoRecord(uint32_t shard) {
    return DataLoss(db_->GetName() + ": shard " + std::to_string(shard) + " has no record");
  }

  absl::Status OtherDataset(const std::string& found) {
    return FailedPrecondition(db_->GetName() + ": holds data set " + found + ", expected " +
                              dataset_);
  }

  absl::Status CheckComplete(uint32_t shards) {
    for (uint32_t shard = 0; shard < shards; ++shard) {
      if (committed_.count(shard) == 0) {
        return FailedPrecondition("shard " + std::to_string(shard) + " of " +
                                  std::to_string(shards) + " is not in");
      }
    }
    if (committed_.size() == shards) return absl::OkStatus();
    return FailedPrecondition("shard " + std::to_string(committed_.rbegin()->first) +
                              " is in, but only " + std::to_string(shards) + " are expected");
  }

  absl::Status LinkFiles(const std::string& dir) {
    rocksdb::Checkpoint* raw = nullptr;
    RETURN_IF_ERROR(FromRocks(rocksdb::Checkpoint::Create(db_.get(), &raw), "cannot publish"));
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
    return FromRocks(checkpoint->CreateCheckpoint(dir), "cannot publish to " + dir);
  }

  // The checksum of an SST is the one that its producer gave and the ingestion verified; one
  // computed from the linked file would also cover damage that happened since.
  absl::StatusOr<std::vector<CacheManifest::File>> DescribeFiles(const std::string& dir) {
    std::vector<rocksdb::LiveFileMetaData> live;
    db_->GetLiveFilesMetaData(&live);
    std::map<std::string, std::string> known;
    for (const auto& sst : live)
      known[sst.relative_filename] = absl::BytesToHexString(sst.file_checksum);
    ASSIGN_OR_RETURN(const auto names, Env::Posix()->ListDir(dir));
    std::vector<CacheManifest::File> files;
    for (const std::string& name : names) {
      const std::string path = JoinPath(dir, name);
      ASSIGN_OR_RETURN(const uint64_t bytes, Env::Posix()->FileSize(path));
      std::string crc32c = known[name];
      if (crc32c.empty()) {
        ASSIGN_OR_RETURN(crc32c, FileCrc32c(path));
      }
      files.push_back({name, bytes, crc32c});
    }
    return files;
  }

  std::unique_ptr<rocksdb::DB> db_;
  std::string dataset_;
  std::map<uint32_t, std::optional<ShardRecord>> committed_;  // records as far as they were read
};

// RocksDB opens its lock for writing. Where a group shares the state folder, the job that has begun
// this cache may have been another user's; the claim of the stage says that it has ended.
absl::Status RemoveLockOfAnother(const std::string& dir) {
  const std::string path = JoinPath(dir, "LOCK");
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || info.st_uid == geteuid()) return absl::OkStatus();
  return Env::Posix()->RemoveFile(path);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CacheBuilder>> CacheBuilder::Open(const std::string& dir,
                                                                 const std::string& dataset) {
  RETURN_IF_ERROR(CheckDataset(dataset));
  RETURN_IF_ERROR(Env::Posix()->CreateDirs(dir));
  RETURN_IF_ERROR(CheckHasCurrentFile(dir));
  RETURN_IF_ERROR(RemoveLockOfAnother(dir));
  rocksdb::Options options = CacheOptions();
  options.create_if_missing = true;
  options.write_buffer_size = kCacheBufferBytes;
  rocksdb::DB* raw = nullptr;
  RETURN_IF_ERROR(FromRocksOpen(rocksdb::DB::Open(options, dir, &raw), "cannot open " + dir));
  auto builder = std::make_unique<RocksBuilder>(std::unique_ptr<rocksdb::DB>(raw), dataset);
  RETURN_IF_ERROR(builder->FindCommitted());
  return builder;
}

}  // namespace halcyon::storage
