#include <rocksdb/db.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/env.h"
#include "storage/cache_format.h"
#include "storage/cache_manifest.h"
#include "storage/extent_index.h"
#include "storage/page_cache.h"
#include "storage/range_reader.h"
#include "storage/rocks.h"

namespace halcyon::storage {
namespace {

constexpr size_t kVerifyReadaheadBytes = 2 << 20;
// Pages that are read together: more would leave the processor's cache before they are decoded.
constexpr uint32_t kTogetherBytes = 128 << 10;

class LocatedReader : public CacheReader {
 public:
  LocatedReader(std::string dir, CacheManifest manifest, FileMapping mapping, ExtentIndex index,
                std::vector<std::string> paths)
      : dir_(std::move(dir)),
        manifest_(std::move(manifest)),
        mapping_(std::move(mapping)),
        index_(index),
        files_(std::move(paths), static_cast<size_t>(OpenFilesOfACache())) {}

  // The manifest's digest is over the shards', so reading the records also verifies the manifest.
  absl::Status ReadRecords() {
    RETURN_IF_ERROR(CheckDataset(manifest_.dataset), JoinPath(dir_, kManifestName));
    if (index_.shards() != manifest_.shards) {
      return DataLoss(dir_ + ": holds " + std::to_string(index_.shards()) +
                      " shards, the manifest says " + std::to_string(manifest_.shards));
    }
    DatasetHash digest;
    for (uint32_t shard = 0; shard < index_.shards(); ++shard) {
      ASSIGN_OR_RETURN(const ShardRecord record, Record(shard));
      if (record.dataset != manifest_.dataset) {
        return DataLoss(dir_ + ": shard " + std::to_string(shard) + " is of data set " +
                        record.dataset + ", the manifest says " + manifest_.dataset);
      }
      digest.Add(record);
      for (const auto& [name, count] : record.counts) {
        std::vector<uint64_t>& counts = counts_[name];
        counts.resize(index_.shards());
        counts[shard] = count;
      }
    }
    if (const std::string found = digest.HexDigest(); found != manifest_.content_digest) {
      return DataLoss(dir_ + ": the content digest of its shards is " + found +
                      ", the manifest says " + manifest_.content_digest);
    }
    return absl::OkStatus();
  }

  // One in each file: the file is there under its name, and values lie where the index says.
  absl::Status CheckLastRecords() {
    for (uint32_t shard = 0; shard < index_.shards(); ++shard) {
      const ExtentIndex::Extent place = index_.RecordPlace(shard);
      const bool is_last =
          shard + 1 == index_.shards() || index_.RecordPlace(shard + 1).file != place.file;
      if (!is_last) continue;
      ASSIGN_OR_RETURN(const auto range, files_.Read(place.file, place.offset, place.bytes));
      if (range.bytes == index_.Record(shard)) continue;
      return DataLoss(PathOf(place.file) + ": the record of shard " + std::to_string(shard) +
                      " is not where the index says, or damaged");
    }
    return absl::OkStatus();
  }

  const std::string& dataset() const override { return manifest_.dataset; }
  const std::string& content_digest() const override { return manifest_.content_digest; }
  uint32_t shards() const override { return index_.shards(); }

  uint64_t Count(uint32_t shard, Split split, std::string_view what) const override {
    HALCYON_CHECK(shard < shards());
    const auto found = counts_.find(std::string(NameOf(split)) + "." + std::string(what));
    return found == counts_.end() ? 0 : found->second[shard];
  }

  absl::StatusOr<ShardRecord> Record(uint32_t shard) const override {
    HALCYON_CHECK(shard < shards());
    auto record = DecodeRecord(shard, index_.Record(shard));
    if (!record.ok()) return Annotate(record.status(), dir_);
    return record;
  }

  absl::Status Visit(const PageKey& first, uint32_t pages, UsePage use) override {
    PageKey key = first;
    while (pages > 0) {
      const auto extent = index_.Find(key);
      if (!extent) return NotFound(dir_ + ": " + Describe(key) + ": missing");
      const uint32_t together = std::max<uint32_t>(kTogetherBytes / extent->page_bytes, 1);
      const uint32_t take = std::min({pages, together, extent->last_page - key.page + 1});
      const uint64_t begin = uint64_t{key.page - extent->first_page} * extent->page_bytes;
      const uint64_t end =
          std::min<uint64_t>(begin + uint64_t{take} * extent->page_bytes, extent->bytes);
      ASSIGN_OR_RETURN(const auto range,
                       files_.Read(extent->file, extent->offset + begin, end - begin));
      std::string_view rest = range.bytes;
      for (uint32_t i = 0; i < take; ++i, ++key.page) {
        const std::string_view page = rest.substr(0, extent->page_bytes);
        rest.remove_prefix(page.size());
        if (const absl::Status verified = VerifyPage(key, page); !verified.ok()) {
          return Annotate(verified, PathOf(extent->file));
        }
        RETURN_IF_ERROR(use(key, page));
      }
      pages -= take;
    }
    return absl::OkStatus();
  }

  absl::Status Verify() override {
    RETURN_IF_ERROR(VerifyFiles(dir_, manifest_));
    rocksdb::DB* raw = nullptr;
    RETURN_IF_ERROR(FromRocksOpen(rocksdb::DB::OpenForReadOnly(CacheOptions(), dir_, &raw),
                                  "cannot open " + dir_));
    const std::unique_ptr<rocksdb::DB> db(raw);
    rocksdb::ReadOptions options;
    options.readahead_size = kVerifyReadaheadBytes;
    const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(options));
    it->SeekToFirst();
    uint64_t values = 0;
    for (uint32_t shard = 0; shard < shards(); ++shard) {
      RETURN_IF_ERROR(VerifyShard(shard, it.get(), &values), dir_);
    }
    RETURN_IF_ERROR(FromRocks(it->status(), dir_));
    if (it->Valid()) return DataLoss(dir_ + ": holds more than its shards");
    if (values == index_.extents()) return absl::OkStatus();
    return DataLoss(dir_ + ": holds " + std::to_string(values) + " values, the index has " +
                    std::to_string(index_.extents()));
  }

 private:
  std::string PathOf(uint32_t file) const {
    return JoinPath(dir_, SstNameOf(index_.FileNumber(file)));
  }

  // `it` goes from the shard's first value to behind its record; `values` counts them.
  absl::Status VerifyShard(uint32_t shard, rocksdb::Iterator* it, uint64_t* values) {
    ASSIGN_OR_RETURN(const ShardRecord record, Record(shard));
    ShardDigest digest;
    uint64_t pages = 0;
    const std::string record_key = EncodeRecordKey(manifest_.dataset, shard);
    for (; it->Valid() && it->key().ToStringView() < record_key; it->Next(), ++*values) {
      ASSIGN_OR_RETURN(const CacheKey key, DecodeKey(it->key().ToStringView()));
      const std::string_view extent = it->value().ToStringView();
      RETURN_IF_ERROR(CheckPlace(key.page, extent));
      RETURN_IF_ERROR(
          ForEachPage(key.page, extent, [&](const PageKey& page, std::string_view value) {
            ++pages;
            digest.Add(page, value);
            return VerifyPage(page, value);
          }));
    }
    RETURN_IF_ERROR(FromRocks(it->status(), "cannot read"));
    if (!it->Valid() || it->value().ToStringView() != index_.Record(shard)) {
      return DataLoss("the record of shard " + std::to_string(shard) + " is not that of the index");
    }
    it->Next();
    ++*values;
    if (pages == record.pages && digest.HexDigest() == record.content_digest) {
      return absl::OkStatus();
    }
    return DataLoss("shard " + std::to_string(shard) + ": its " + std::to_string(pages) +
                    " pages are not the " + std::to_string(record.pages) +
                    " that its record describes");
  }

  // The header of the first page has a checksum of its page: no other place begins like it.
  absl::Status CheckPlace(const PageKey& last, std::string_view extent) {
    const auto found = index_.Find(last);
    if (found && found->last_page == last.page && found->bytes == extent.size() &&
        found->page_bytes == PageBytesOf(extent)) {
      ASSIGN_OR_RETURN(const auto range, files_.Read(found->file, found->offset, kPageHeaderBytes));
      if (range.bytes == extent.substr(0, kPageHeaderBytes)) return absl::OkStatus();
    }
    return DataLoss("the index has another place for " + Describe(last));
  }

  const std::string dir_;
  const CacheManifest manifest_;
  const FileMapping mapping_;
  const ExtentIndex index_;  // of mapping_
  RangeReader files_;
  std::map<std::string, std::vector<uint64_t>> counts_;  // of each shard
};

// Of the SST files that the index names. They must be among those whose sizes were checked.
absl::StatusOr<std::vector<std::string>> PathsOf(const std::string& dir, const ExtentIndex& index,
                                                 const CacheManifest& manifest) {
  std::set<std::string> listed;
  for (const CacheManifest::File& file : manifest.files) listed.insert(file.name);
  std::vector<std::string> paths;
  for (uint32_t file = 0; file < index.files(); ++file) {
    const std::string name = SstNameOf(index.FileNumber(file));
    if (!listed.contains(name)) return DataLoss(dir + ": " + name + " is not in the manifest");
    paths.push_back(JoinPath(dir, name));
  }
  return paths;
}

}  // namespace

absl::StatusOr<std::string> CacheReader::Get(const PageKey& key) {
  std::string page;
  RETURN_IF_ERROR(Visit(key, 1, [&page](const PageKey&, std::string_view value) {
    page = value;
    return absl::OkStatus();
  }));
  return page;
}

absl::StatusOr<std::unique_ptr<CacheReader>> CacheReader::Open(const std::string& dir,
                                                               const std::string& dataset) {
  ASSIGN_OR_RETURN(CacheManifest manifest, LoadManifest(dir));
  if (!dataset.empty() && manifest.dataset != dataset) {
    return FailedPrecondition(dir + ": holds data set " + manifest.dataset + ", expected " +
                              dataset);
  }
  const std::string path = JoinPath(dir, kExtentIndexName);
  const auto listed = std::find_if(manifest.files.begin(), manifest.files.end(),
                                   [](const auto& file) { return file.name == kExtentIndexName; });
  if (listed == manifest.files.end()) return DataLoss(path + ": not in the manifest");
  ASSIGN_OR_RETURN(const std::string crc32c, FileCrc32c(path));
  if (crc32c != listed->crc32c) {
    return DataLoss(path + ": CRC32c is " + crc32c + ", the manifest says " + listed->crc32c);
  }
  ASSIGN_OR_RETURN(FileMapping mapping, FileMapping::Map(path));
  ASSIGN_OR_RETURN(const ExtentIndex index, ExtentIndex::Parse(mapping.bytes()), path);
  ASSIGN_OR_RETURN(std::vector<std::string> paths, PathsOf(dir, index, manifest));
  auto reader = std::make_unique<LocatedReader>(dir, std::move(manifest), std::move(mapping), index,
                                                std::move(paths));
  RETURN_IF_ERROR(reader->ReadRecords());
  RETURN_IF_ERROR(reader->CheckLastRecords());
  return reader;
}

}  // namespace halcyon::storage
