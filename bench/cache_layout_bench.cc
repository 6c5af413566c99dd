// Layouts of latents inside RocksDB, read the same way: windows of 64 chunks anywhere in some
// hundred MiB. docs/latent_cache_format.md has the comparison. TMPDIR chooses the disk.
//
//   bytes_per_second     of the windows' own bytes, a core, files in the page cache, all sums
//   checked heap_per_ktoken      bytes of heap that another file brings, for each 1,000 tokens
//   amplification        bytes read from the disk by a window that is not in the page cache / its
//   own cold_us              the time on the clock of such a window
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/philox.h"
#include "bench/disk_meter.h"
#include "bench/scratch_cache.h"
#include "storage/cache_format.h"
#include "storage/half.h"
#include "storage/range_reader.h"
#include "storage/rocks.h"

namespace halcyon::storage {
namespace {

constexpr uint32_t kLatentSize = 128, kRow = 2 * kLatentSize, kTokensPerChunk = 4;
constexpr uint64_t kWindow = 64, kColdWindows = 400;
constexpr uint64_t kFiles = 3, kChunksPerFile = 1 << 19;  // 256 MiB
const std::string kDataset(64, 'a');

enum class Access {
  kGet,       // each page by itself
  kMultiGet,  // all pages of the window by one call
  kIterate,   // the first by a search, the others by going on
  kMapped,    // values of many pages, in mapped files
  kGuarded,   // the same, asking the system for the pages before they are touched
  kRead,      // values of many pages; one read of the file where the window lies
  kLocated,   // the same, through a mapping where the page cache has it
};

struct Layout {
  const char* name;
  Access access;
  uint32_t page_chunks = 16;
  size_t extent_bytes = 0;  // pages that follow each other share a value; 0: none do
  bool two_level = false;
};

constexpr Layout kLayouts[] = {
    {"page_a_value/get", Access::kGet},
    {"page_a_value/multiget", Access::kMultiGet},
    {"page_a_value/iterate", Access::kIterate},
    {"two_level_index/multiget", Access::kMultiGet, 16, 0, true},
    {"two_level_index/iterate", Access::kIterate, 16, 0, true},
    {"pages_of_32/iterate", Access::kIterate, 32},
    {"pages_of_64/iterate", Access::kIterate, 64},
    {"extents_1MiB/mapped", Access::kMapped, 16, 1 << 20},
    {"extents_1MiB/mapped_guarded", Access::kGuarded, 16, 1 << 20},
    {"extents_4MiB/mapped", Access::kMapped, 16, 4 << 20},
    {"extents_1MiB/read", Access::kRead, 16, 1 << 20},
    {"extents_1MiB/located", Access::kLocated, 16, 1 << 20},
};

void Must(const rocksdb::Status& status) { HALCYON_CHECK(status.ok()); }
void Must(const absl::Status& status) { HALCYON_CHECK(status.ok()); }

rocksdb::Options OptionsOf(const Layout& layout) {
  rocksdb::Options options = QuietOptions();
  options.create_if_missing = true;
  options.disable_auto_compactions = true;
  options.allow_mmap_reads = layout.access == Access::kMapped || layout.access == Access::kGuarded;
  options.advise_random_on_open = true;
  rocksdb::BlockBasedTableOptions table;
  table.checksum = rocksdb::kXXH3;
  table.no_block_cache = true;
  if (layout.extent_bytes > 0) {
    table.index_shortening = rocksdb::BlockBasedTableOptions::IndexShorteningMode::kNoShortening;
  }
  if (layout.two_level) {
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  }
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

PageKey KeyOf(uint64_t page) {
  return {0, Split::kTrain, PageKind::kLatents, static_cast<uint32_t>(page)};
}

class Store {
 public:
  explicit Store(const Layout& layout) : layout_(layout) {}
  ~Store() { Close(); }

  void Write() {
    for (uint64_t file = 0; file < kFiles; ++file) WriteFile(file);
    for (const uint64_t files : {uint64_t{1}, kFiles}) {
      rocksdb::Options options = OptionsOf(layout_);
      options.allow_mmap_reads = false;
      rocksdb::DB* db = nullptr;
      Must(rocksdb::DB::Open(options, Folder(files), &db));
      for (uint64_t file = 0; file < files; ++file) {
        rocksdb::IngestExternalFileOptions ingest;
        ingest.write_global_seqno = false;
        const std::string linked = SstPath(file) + ".link";
        std::filesystem::create_hard_link(SstPath(file), linked);
        ingest.move_files = true;
        Must(db->IngestExternalFile({linked}, ingest));
      }
      delete db;
    }
  }

  void Open(uint64_t files = kFiles) {
    if (IsLocated()) {
      std::vector<std::string> paths;
      for (uint64_t file = 0; file < files; ++file) {
        paths.push_back(SstPath(file) + ".flat");
        fds_.push_back(open(paths.back().c_str(), O_RDONLY));
        posix_fadvise(fds_.back(), 0, 0, POSIX_FADV_RANDOM);
      }
      ranges_ = std::make_unique<RangeReader>(std::move(paths), files);
      return;
    }
    rocksdb::DB* raw = nullptr;
    Must(rocksdb::DB::OpenForReadOnly(OptionsOf(layout_), Folder(files), &raw));
    db_.reset(raw);
    options_.verify_checksums = layout_.extent_bytes == 0;
    iterator_.reset(db_->NewIterator(options_));
  }
  void Close() {
    iterator_.reset();
    db_.reset();
    ranges_.reset();
    for (const int fd : fds_) close(fd);
    fds_.clear();
  }

  void Drop() { bench::DropPages(scratch_.Path("")); }

  // Chunks first ... of the stream; of one file.
  void Read(uint64_t first, std::span<float> out) {
    first_ = first;
    end_ = first + out.size() / kRow;
    out_ = out;
    const uint64_t page = first / layout_.page_chunks, last = (end_ - 1) / layout_.page_chunks;
    switch (layout_.access) {
      case Access::kGet:
        return Get(page, last);
      case Access::kMultiGet:
        return MultiGet(page, last);
      case Access::kIterate:
        return Iterate(page, last);
      case Access::kMapped:
      case Access::kGuarded:
        return ReadExtents(page, last);
      case Access::kRead:
      case Access::kLocated:
        return ReadLocated(page, last);
    }
  }

 private:
  std::string SstPath(uint64_t file) const { return scratch_.Path(std::to_string(file) + ".sst"); }
  std::string Folder(uint64_t files) const { return scratch_.Path(std::to_string(files)); }
  // A plain file of the pages stands for an SST whose places are known.
  bool IsLocated() const {
    return layout_.access == Access::kRead || layout_.access == Access::kLocated;
  }
  size_t PageBytes() const { return kPageHeaderBytes + 2 * kRow * size_t{layout_.page_chunks}; }

  void WriteFile(uint64_t file) {
    std::vector<float> values(kRow * layout_.page_chunks);
    PhiloxStream(1, NoiseStream::kEvaluation, 0, file).FillNormal(0, values);
    std::string payload(2 * values.size(), '\0');
    EncodeHalves(values, payload.data());
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), OptionsOf(layout_));
    Must(writer.Open(SstPath(file)));
    std::ofstream flat(SstPath(file) + ".flat");
    const uint64_t pages = kChunksPerFile / layout_.page_chunks;
    std::string extent;
    for (uint64_t page = file * pages; page < (file + 1) * pages; ++page) {
      const std::string value =
          EncodePage(KeyOf(page), {Element::kF16, layout_.page_chunks, kRow, payload});
      if (IsLocated()) flat << value;
      extent += value;
      if (extent.size() + value.size() <= layout_.extent_bytes && page + 1 < (file + 1) * pages) {
        continue;
      }
      Must(writer.Put(EncodeKey(kDataset, KeyOf(page)), extent));
      extent.clear();
    }
    Must(writer.Finish());
  }

  void Take(uint64_t page, std::string_view value) {
    Must(VerifyPage(KeyOf(page), value));
    const uint64_t begin = std::max(first_, page * layout_.page_chunks);
    const uint64_t end = std::min(end_, (page + 1) * layout_.page_chunks);
    DecodeHalves(value.data() + kPageHeaderBytes + 2 * kRow * (begin - page * layout_.page_chunks),
                 out_.subspan((begin - first_) * kRow, (end - begin) * kRow));
  }

  void Get(uint64_t page, uint64_t last) {
    std::string value;
    for (; page <= last; ++page) {
      Must(db_->Get(options_, EncodeKey(kDataset, KeyOf(page)), &value));
      Take(page, value);
    }
  }

  void MultiGet(uint64_t page, uint64_t last) {
    const size_t count = last - page + 1;
    std::vector<std::string> names;
    for (size_t i = 0; i < count; ++i) names.push_back(EncodeKey(kDataset, KeyOf(page + i)));
    const std::vector<rocksdb::Slice> keys(names.begin(), names.end());
    std::vector<rocksdb::PinnableSlice> values(count);
    std::vector<rocksdb::Status> statuses(count);
    db_->MultiGet(options_, db_->DefaultColumnFamily(), count, keys.data(), values.data(),
                  statuses.data(), /*sorted_input=*/true);
    for (size_t i = 0; i < count; ++i) {
      Must(statuses[i]);
      Take(page + i, values[i].ToStringView());
    }
  }

  void Iterate(uint64_t page, uint64_t last) {
    iterator_->Seek(EncodeKey(kDataset, KeyOf(page)));
    for (; page <= last; ++page, iterator_->Next()) Take(page, iterator_->value().ToStringView());
  }

  void ReadExtents(uint64_t page, uint64_t last) {
    while (page <= last) {
      iterator_->Seek(EncodeKey(kDataset, KeyOf(page)));
      HALCYON_CHECK(iterator_->Valid());
      const std::string_view extent = iterator_->value().ToStringView();
      const uint64_t extent_last = DecodeKey(iterator_->key().ToStringView())->page.page;
      const uint64_t extent_first = extent_last + 1 - extent.size() / PageBytes();
      const uint64_t stop = std::min(last, extent_last);
      const char* from = extent.data() + (page - extent_first) * PageBytes();
      if (layout_.access == Access::kGuarded) Guard(from, (stop - page + 1) * PageBytes());
      for (; page <= stop; ++page, from += PageBytes()) Take(page, {from, PageBytes()});
    }
  }

  static void Guard(const char* from, size_t bytes) {
    const auto begin = reinterpret_cast<uintptr_t>(from) & ~uintptr_t{4095};
    void* const at = reinterpret_cast<void*>(begin);
    const size_t length = reinterpret_cast<uintptr_t>(from) + bytes - begin;
    HALCYON_CHECK(madvise(at, length, MADV_WILLNEED) == 0);
    HALCYON_CHECK(madvise(at, length, MADV_POPULATE_READ) == 0);
  }

  void ReadLocated(uint64_t page, uint64_t last) {
    const uint64_t pages = kChunksPerFile / layout_.page_chunks;
    const size_t bytes = (last - page + 1) * PageBytes();
    const uint64_t offset = page % pages * PageBytes();
    std::string_view rest;
    absl::StatusOr<RangeReader::Range> range;
    if (layout_.access == Access::kLocated) {
      range = ranges_->Read(static_cast<uint32_t>(page / pages), offset, bytes);
      rest = range->bytes;
    } else {
      room_.resize(std::max(room_.size(), bytes));
      HALCYON_CHECK(pread(fds_[page / pages], room_.data(), bytes, static_cast<off_t>(offset)) ==
                    static_cast<ssize_t>(bytes));
      rest = {room_.data(), bytes};
    }
    for (; page <= last; ++page, rest.remove_prefix(PageBytes())) {
      Take(page, rest.substr(0, PageBytes()));
    }
  }

  const Layout layout_;
  const Scratch scratch_;  // goes away last
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ReadOptions options_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
  std::vector<int> fds_;
  std::string room_;
  std::unique_ptr<RangeReader> ranges_;
  uint64_t first_ = 0, end_ = 0;
  std::span<float> out_;
};

uint64_t WindowAt(uint64_t i, uint64_t files) {
  static const PhiloxStream stream(2, NoiseStream::kEvaluation, 0, 0);
  return stream.Below(2 * i, files) * kChunksPerFile +
         stream.Below(2 * i + 1, kChunksPerFile - kWindow + 1);
}

int64_t HeapOf(Store& store, uint64_t files) {
  std::vector<float> out(kRow * kWindow);
  const int64_t before = bench::HeapBytes();
  store.Open(files);
  for (uint64_t i = 0; i < 200; ++i) store.Read(WindowAt(i, files), out);
  const int64_t bytes = bench::HeapBytes() - before;
  store.Close();
  return bytes;
}

void Windows(benchmark::State& state, const Layout& layout) {
  Store store(layout);
  store.Write();
  std::vector<float> out(kRow * kWindow);
  const double tokens = double{kFiles - 1} * kChunksPerFile * kTokensPerChunk;
  HeapOf(store, 1);  // what the first opening leaves behind is not of a file
  const int64_t one = HeapOf(store, 1);
  state.counters["heap_per_ktoken"] =
      1000 * static_cast<double>(HeapOf(store, kFiles) - one) / tokens;

  store.Drop();
  store.Open();
  const uint64_t disk = bench::DiskBytesRead();
  const int64_t began_ms = Clock::Real()->MonotonicMs();
  for (uint64_t i = 0; i < kColdWindows; ++i) store.Read(WindowAt(i, kFiles), out);
  state.counters["cold_us"] =
      1000.0 * static_cast<double>(Clock::Real()->MonotonicMs() - began_ms) / kColdWindows;
  state.counters["amplification"] = static_cast<double>(bench::DiskBytesRead() - disk) /
                                    static_cast<double>(kColdWindows * 2 * out.size());
  for (uint64_t at = 0; at + kWindow <= kFiles * kChunksPerFile; at += kWindow) store.Read(at, out);
  uint64_t i = kColdWindows;
  for (auto _ : state) store.Read(WindowAt(i++, kFiles), out);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(2 * out.size()));
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const Layout& layout : kLayouts) {
    benchmark::RegisterBenchmark(layout.name,
                                 [&layout](benchmark::State& state) { Windows(state, layout); })
        ->Iterations(20'000)
        ->Unit(benchmark::kMicrosecond);
  }
  return true;
}();

}  // namespace
}  // namespace halcyon::storage
