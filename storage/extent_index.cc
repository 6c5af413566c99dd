#include "storage/extent_index.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <tuple>

#include "storage/cache_format.h"

namespace halcyon::storage {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "halcyon extents\n";
constexpr uint8_t kIndexRecordMark = 0xff;  // a record sorts after all pages of its shard

struct IndexHeader {
  char magic[16];
  uint32_t version, shards, files, reserved;
  uint64_t extents, record_bytes;
};
struct FileRow {
  uint64_t number;
};
struct ShardRow {
  uint64_t extents_end, records_end;  // of this shard and all before
};
struct ExtentRow {
  uint32_t shard;
  uint8_t split, kind;
  uint16_t reserved;
  uint32_t last_page, file;
  uint64_t offset;
  uint32_t bytes, page_bytes;
};
static_assert(kMagic.size() == sizeof(IndexHeader::magic) && sizeof(IndexHeader) == 48);
static_assert(sizeof(FileRow) == 8 && sizeof(ShardRow) == 16 && sizeof(ExtentRow) == 32);

template <typename Row>
void PutRow(std::string* out, const Row& row) {
  out->append(reinterpret_cast<const char*>(&row), sizeof(row));
}

template <typename Row>
Row RowAt(std::string_view table, uint64_t i) {
  Row row;
  std::memcpy(&row, table.data() + i * sizeof(row), sizeof(row));
  return row;
}

// From one end to the next; ends of damaged bytes may be anything.
struct Range {
  uint64_t begin, end;
};
Range RangeOf(uint64_t before, uint64_t end, uint64_t total) {
  end = std::min(end, total);
  return {std::min(before, end), end};
}

auto OrderOf(const ExtentRow& row) { return std::tuple(row.split, row.kind, row.last_page); }

ExtentIndex::Extent ExtentOf(const ExtentRow& row) {
  const uint32_t pages =
      row.bytes == 0 || row.page_bytes == 0 ? 1 : PagesOf(row.bytes, row.page_bytes);
  return {row.file,     row.offset, row.bytes, row.page_bytes, row.last_page - (pages - 1),
          row.last_page};
}

}  // namespace

std::string SstNameOf(uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof(name), "%06llu.sst", static_cast<unsigned long long>(number));
  return name;
}

absl::StatusOr<std::string> EncodeExtentIndex(const std::vector<PlacedFile>& files,
                                              const std::vector<ShardRecord>& records) {
  std::string file_table, shard_table, extent_table, record_bytes;
  uint32_t shard = 0, file = 0;
  uint64_t extents = 0;
  for (const PlacedFile& placed : files) {
    PutRow(&file_table, FileRow{placed.number});
    for (const ValuePlace& place : placed.places) {
      if (shard >= records.size() || place.key.page.shard != shard) {
        return DataLoss(SstNameOf(placed.number) + ": has a value of shard " +
                        std::to_string(place.key.page.shard) + " among those of shard " +
                        std::to_string(shard));
      }
      ExtentRow row{shard,        kIndexRecordMark, kIndexRecordMark, 0, 0, file,
                    place.offset, place.bytes,      place.page_bytes};
      if (!place.key.is_record) {
        row.split = static_cast<uint8_t>(place.key.page.split);
        row.kind = static_cast<uint8_t>(place.key.page.kind);
        row.last_page = place.key.page.page;
      }
      PutRow(&extent_table, row);
      ++extents;
      if (!place.key.is_record) continue;
      record_bytes += EncodeRecord(records[shard]);
      PutRow(&shard_table, ShardRow{extents, record_bytes.size()});
      ++shard;
    }
    ++file;
  }
  if (shard != records.size()) {
    return DataLoss("the files hold " + std::to_string(shard) + " shards of " +
                    std::to_string(records.size()));
  }
  IndexHeader header{{}, kCacheFormatVersion, shard, file, 0, extents, record_bytes.size()};
  std::copy(kMagic.begin(), kMagic.end(), header.magic);
  std::string bytes;
  PutRow(&bytes, header);
  return bytes + file_table + shard_table + extent_table + record_bytes;
}

absl::StatusOr<ExtentIndex> ExtentIndex::Parse(std::string_view bytes) {
  if (bytes.size() < sizeof(IndexHeader) || !bytes.starts_with(kMagic)) {
    return DataLoss("is no index of extents");
  }
  const auto header = RowAt<IndexHeader>(bytes, 0);
  RETURN_IF_ERROR(CheckVersion(header.version, "the index"));
  const unsigned __int128 expected =
      sizeof(header) + static_cast<unsigned __int128>(header.files) * sizeof(FileRow) +
      static_cast<unsigned __int128>(header.shards) * sizeof(ShardRow) +
      static_cast<unsigned __int128>(header.extents) * sizeof(ExtentRow) + header.record_bytes;
  if (expected != bytes.size() || header.reserved != 0) {
    return DataLoss("has " + std::to_string(bytes.size()) +
                    " bytes, which is not what its header promises");
  }
  ExtentIndex index;
  index.shards_ = header.shards;
  index.files_ = header.files;
  index.extents_ = header.extents;
  std::string_view rest = bytes.substr(sizeof(header));
  const auto take = [&rest](size_t size) {
    const std::string_view table = rest.substr(0, size);
    rest.remove_prefix(size);
    return table;
  };
  index.file_table_ = take(header.files * sizeof(FileRow));
  index.shard_table_ = take(header.shards * sizeof(ShardRow));
  index.extent_table_ = take(header.extents * sizeof(ExtentRow));
  index.records_ = take(header.record_bytes);
  return index;
}

std::optional<ExtentIndex::Extent> ExtentIndex::Find(const PageKey& key) const {
  if (key.shard >= shards_) return std::nullopt;
  const uint64_t before =
      key.shard == 0 ? 0 : RowAt<ShardRow>(shard_table_, key.shard - 1).extents_end;
  auto [low, high] =
      RangeOf(before, RowAt<ShardRow>(shard_table_, key.shard).extents_end, extents_);
  const auto wanted =
      std::tuple(static_cast<uint8_t>(key.split), static_cast<uint8_t>(key.kind), key.page);
  const uint64_t end = high;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (OrderOf(RowAt<ExtentRow>(extent_table_, middle)) < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == end) return std::nullopt;
  const auto row = RowAt<ExtentRow>(extent_table_, low);
  const Extent extent = ExtentOf(row);
  if (row.split != static_cast<uint8_t>(key.split) || row.kind != static_cast<uint8_t>(key.kind) ||
      row.page_bytes == 0 || key.page < extent.first_page || extent.file >= files_) {
    return std::nullopt;
  }
  return extent;
}

std::string_view ExtentIndex::Record(uint32_t shard) const {
  const uint64_t before = shard == 0 ? 0 : RowAt<ShardRow>(shard_table_, shard - 1).records_end;
  const auto [begin, end] =
      RangeOf(before, RowAt<ShardRow>(shard_table_, shard).records_end, records_.size());
  return records_.substr(begin, end - begin);
}

ExtentIndex::Extent ExtentIndex::RecordPlace(uint32_t shard) const {
  const uint64_t end = RowAt<ShardRow>(shard_table_, shard).extents_end;
  if (end == 0 || end > extents_) return {};
  return ExtentOf(RowAt<ExtentRow>(extent_table_, end - 1));
}

uint64_t ExtentIndex::FileNumber(uint32_t file) const {
  return RowAt<FileRow>(file_table_, file).number;
}

}  // namespace halcyon::storage
