// Builds small data sets: writes shards, takes them in, publishes, opens.
#ifndef HALCYON_TESTS_STORAGE_CACHE_FIXTURE_H_
#define HALCYON_TESTS_STORAGE_CACHE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "storage/cache_format.h"
#include "storage/page_cache.h"
#include "tests/storage/damage.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::storage {

inline absl::StatusCode CodeOf(const absl::Status& status) { return status.code(); }
template <typename T>
absl::StatusCode CodeOf(const absl::StatusOr<T>& result) {
  return result.status().code();
}

class CacheTest : public ::testing::Test {
 protected:
  using Pages = std::map<PageKey, std::string>;

  const std::string kDataset = std::string(62, 'a') + "01";
  const std::string kOtherDataset = "b" + std::string(63, 'a');

  // Page values of `count` u32 that no other page has.
  static std::string Value(const PageKey& key, uint32_t count) {
    std::string payload;
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t number =
          key.shard * 1000003 + static_cast<uint32_t>(key.split) * 10007 + key.page * 101 + i;
      payload.append(reinterpret_cast<const char*>(&number), sizeof(number));
    }
    return EncodePage(key, {Element::kU32, count, 1, payload});
  }

  // Three pages in kTrain, one in kHeldout; the shard `kEmptyShard` has none.
  static constexpr uint32_t kEmptyShard = 1;
  static Pages PagesOf(uint32_t shard) {
    Pages pages;
    if (shard == kEmptyShard) return pages;
    for (uint32_t page = 0; page < 3; ++page) {
      const PageKey key{shard, Split::kTrain, PageKind::kTokens, page};
      pages[key] = Value(key, 700 + page);
    }
    const PageKey key{shard, Split::kHeldout, PageKind::kTokens, 0};
    pages[key] = Value(key, 5);
    return pages;
  }

  enum class Begin { kNow, kLater };
  // kLater: the test itself opens the first builder, before shards are written.
  explicit CacheTest(Begin begin = Begin::kNow) {
    if (begin == Begin::kNow) OpenBuilder();
  }

  static std::string SstName(uint32_t shard) { return "shard-" + std::to_string(shard) + ".sst"; }
  std::string SstPath(uint32_t shard) { return JoinPath(BuildDir(), SstName(shard)); }
  std::string BuildDir() { return dir_.Path("build"); }
  std::string Generation() { return dir_.Path("generation"); }

  SstFile WriteShard(uint32_t shard, uint64_t fence = 1) {
    return WriteShard(kDataset, shard, fence, PagesOf(shard));
  }
  SstFile WriteShard(const std::string& dataset, uint32_t shard, uint64_t fence,
                     const Pages& pages) {
    auto writer = ShardWriter::Create(SstPath(shard), dataset, shard, fence);
    EXPECT_TRUE(writer.ok()) << writer.status();
    for (const auto& [key, value] : pages) {
      const absl::Status added = (*writer)->Add(key, value);
      EXPECT_TRUE(added.ok()) << added;
    }
    const auto file = (*writer)->Finish({{"pages", pages.size()}, {"shards", 1}});
    EXPECT_TRUE(file.ok()) << file.status();
    return *file;
  }

  std::unique_ptr<CacheBuilder> OpenBuilder(CacheOwner owner = {}) {
    auto builder = TryOpenBuilder(std::move(owner));
    EXPECT_TRUE(builder.ok()) << builder.status();
    return std::move(*builder);
  }
  absl::StatusOr<std::unique_ptr<CacheBuilder>> TryOpenBuilder(CacheOwner owner = {}) {
    notes_.clear();
    return CacheBuilder::Open(*Env::Posix(), BuildDir(), kDataset, std::move(owner), &notes_);
  }

  CacheBuilder::Published Build(uint32_t shards, CacheOwner owner = {}) {
    auto builder = OpenBuilder(std::move(owner));
    for (uint32_t shard = 0; shard < shards; ++shard) {
      const auto record = builder->Ingest({{WriteShard(shard), shard, 1}}).at(0);
      EXPECT_TRUE(record.ok()) << record.status();
    }
    const auto published = builder->Publish(Generation(), shards);
    EXPECT_TRUE(published.ok()) << published.status();
    return *published;
  }

  std::unique_ptr<CacheReader> OpenReader() {
    auto reader = CacheReader::Open(Generation(), kDataset);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return std::move(*reader);
  }
  absl::Status TryOpenReader() { return CacheReader::Open(Generation(), kDataset).status(); }

  testing::TempDir dir_;
  std::vector<std::string> notes_;
};

}  // namespace halcyon::storage

#endif  // HALCYON_TESTS_STORAGE_CACHE_FIXTURE_H_
