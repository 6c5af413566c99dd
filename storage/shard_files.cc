#include "storage/shard_files.h"

#include <rocksdb/iterator.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table_properties.h>

#include <memory>

#include "storage/cache_format.h"
#include "storage/hex.h"
#include "storage/range_reader.h"
#include "storage/rocks.h"
#include "storage/value_places.h"

namespace halcyon::storage {
namespace {

constexpr size_t kCopyReadaheadBytes = 2 << 20;

absl::Status CompareWithLog(const ShardRecord& record, const std::string& dataset,
                            const HeldShard& held) {
  if (record.dataset == dataset && record.fence == held.fence && record.pages == held.pages &&
      record.content_digest == held.content_digest) {
    return absl::OkStatus();
  }
  return DataLoss("the record of shard " + std::to_string(held.shard) +
                  " is not the one that was taken in");
}

absl::StatusOr<ShardRecord> TakeHeldRecord(const rocksdb::Iterator& at, const std::string& dataset,
                                           const HeldShard& held) {
  RETURN_IF_ERROR(FromRocks(at.status(), "cannot read"));
  if (!at.Valid() || at.key().ToStringView() != EncodeRecordKey(dataset, held.shard)) {
    return DataLoss("has no record of shard " + std::to_string(held.shard));
  }
  ASSIGN_OR_RETURN(ShardRecord record, DecodeRecord(held.shard, at.value().ToStringView()));
  RETURN_IF_ERROR(CompareWithLog(record, dataset, held));
  return record;
}

// From the iterator's place to behind the shard's record.
absl::Status CopyHeldShard(const std::string& path, const std::string& dataset,
                           const HeldShard& held, rocksdb::Iterator* it, SstOutput* output) {
  uint64_t pages = 0;
  for (; it->Valid(); it->Next()) {
    const std::string_view key = it->key().ToStringView();
    ASSIGN_OR_RETURN(const CacheKey parsed, DecodeKey(key), path);
    if (parsed.is_record) break;
    if (key != EncodeKey(dataset, parsed.page) || parsed.page.shard != held.shard) {
      return DataLoss(path + ": has a page that is not of shard " + std::to_string(held.shard));
    }
    const auto verify = [&pages](const PageKey& page, std::string_view value) {
      ++pages;
      return VerifyPage(page, value);
    };
    RETURN_IF_ERROR(ForEachPage(parsed.page, it->value().ToStringView(), verify), path);
    RETURN_IF_ERROR(output->Put(std::string(key), it->value().ToStringView()));
  }
  RETURN_IF_ERROR(TakeHeldRecord(*it, dataset, held).status(), path);
  if (pages != held.pages) {
    return DataLoss(path + ": shard " + std::to_string(held.shard) + " has " +
                    std::to_string(pages) + " pages, its record counts " +
                    std::to_string(held.pages));
  }
  RETURN_IF_ERROR(output->Put(it->key().ToString(), it->value().ToStringView()));
  it->Next();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ShardRecord> CheckShardFile(const SstFile& file, const std::string& dataset,
                                           uint32_t shard) {
  const std::string& path = file.path;
  if (!BytesFromHex(file.file_checksum)) {
    return InvalidArgument(path + ": not a checksum: '" + file.file_checksum + "'");
  }
  ASSIGN_OR_RETURN(const std::string crc32c, FileCrc32c(path));
  if (crc32c != file.file_checksum) {
    return DataLoss(path + ": CRC32c is " + crc32c + ", its producer says " + file.file_checksum);
  }
  rocksdb::SstFileReader reader(CacheOptions());
  RETURN_IF_ERROR(FromRocks(reader.Open(path), "cannot read " + path));
  RETURN_IF_ERROR(FromRocks(reader.VerifyChecksum(), "cannot read " + path));
  const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(rocksdb::ReadOptions()));
  it->SeekToFirst();
  const bool starts_here =
      it->Valid() &&
      it->key().ToStringView() >= EncodeKey(dataset, {shard, Split::kTrain, PageKind::kTokens, 0});
  it->SeekToLast();
  RETURN_IF_ERROR(FromRocks(it->status(), "cannot read " + path));
  if (!it->Valid() || !starts_here || it->key().ToStringView() != EncodeRecordKey(dataset, shard)) {
    return DataLoss(path + ": holds no record of shard " + std::to_string(shard) + " of data set " +
                    dataset + ", or pages of another");
  }
  ASSIGN_OR_RETURN(ShardRecord record, DecodeRecord(shard, it->value().ToStringView()), path);
  if (record.dataset != dataset) return DataLoss(path + ": is of data set " + record.dataset);
  if (!IsDigest(record.content_digest)) {
    return DataLoss(path + ": has no content digest: '" + record.content_digest + "'");
  }
  ASSIGN_OR_RETURN(const auto places, ValuePlacesOf(*reader.GetTableProperties()), path);
  uint64_t pages = 0;
  for (const ValuePlace& place : places) {
    if (!place.key.is_record) pages += PagesOf(place.bytes, place.page_bytes);
  }
  if (pages != record.pages || places.size() != reader.GetTableProperties()->num_entries) {
    return DataLoss(path + ": lists the places of " + std::to_string(pages) +
                    " pages, its record counts " + std::to_string(record.pages));
  }
  return record;
}

absl::StatusOr<HeldContents> ReadHeldContents(const std::string& path, const std::string& dataset,
                                              const HeldFile& held) {
  rocksdb::SstFileReader reader(CacheOptions());
  RETURN_IF_ERROR(FromRocks(reader.Open(path), "cannot read " + path));
  HeldContents contents;
  ASSIGN_OR_RETURN(contents.places, ValuePlacesOf(*reader.GetTableProperties()), path);
  RangeReader ranges({path}, /*open_files_max=*/1);
  const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(rocksdb::ReadOptions()));
  auto place = contents.places.begin();
  for (const HeldShard& shard : held.shards) {
    it->Seek(EncodeRecordKey(dataset, shard.shard));
    ASSIGN_OR_RETURN(ShardRecord record, TakeHeldRecord(*it, dataset, shard), path);
    uint64_t pages = 0;
    for (; place != contents.places.end() && !place->key.is_record; ++place) {
      if (place->key.page.shard == shard.shard) pages += PagesOf(place->bytes, place->page_bytes);
    }
    const bool is_there = place != contents.places.end() && place->key.page.shard == shard.shard;
    ASSIGN_OR_RETURN(const auto found,
                     is_there ? ranges.Read(0, place->offset, place->bytes) : RangeReader::Range{});
    if (pages != shard.pages || found.bytes != it->value().ToStringView()) {
      return DataLoss(path + ": its values do not lie where its list of places says");
    }
    ++place;
    contents.records.push_back(std::move(record));
  }
  return contents;
}

absl::Status CopyHeldShards(const std::string& path, const std::string& dataset,
                            const HeldFile& held, SstOutput* output) {
  rocksdb::SstFileReader reader(CacheOptions());
  RETURN_IF_ERROR(FromRocks(reader.Open(path), "cannot read " + path));
  rocksdb::ReadOptions options;
  options.readahead_size = kCopyReadaheadBytes;
  const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(options));
  it->SeekToFirst();
  for (const HeldShard& shard : held.shards) {
    RETURN_IF_ERROR(CopyHeldShard(path, dataset, shard, it.get(), output));
  }
  RETURN_IF_ERROR(FromRocks(it->status(), "cannot read " + path));
  return it->Valid() ? DataLoss(path + ": holds more than its shards") : absl::OkStatus();
}

absl::StatusOr<std::string> LeaveOutLost(Env& env, const std::string& dir, HeldFiles* files) {
  size_t shards = 0, lost = 0;
  std::string note;
  for (auto it = files->begin(); it != files->end();) {
    const HeldFile& file = it->second;
    const std::string path = JoinPath(dir, file.name);
    const absl::StatusOr<uint64_t> bytes = env.FileSize(path);
    if (!absl::IsNotFound(bytes.status())) RETURN_IF_ERROR(bytes.status());
    if (bytes.ok() && *bytes == file.bytes) {
      ++it;
      continue;
    }
    shards += file.shards.size();
    if (++lost == 1) {
      note = path + (bytes.ok() ? " has " + std::to_string(*bytes) + " bytes of " +
                                      std::to_string(file.bytes)
                                : " is missing");
    }
    it = files->erase(it);
  }
  if (lost == 0) return std::string();
  if (lost > 1) note += ", and likewise " + std::to_string(lost - 1) + " more";
  return "shards that are no longer done and are made again: " + std::to_string(shards) + "; " +
         note;
}

}  // namespace halcyon::storage
