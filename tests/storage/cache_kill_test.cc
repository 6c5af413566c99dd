// kill -9 at every step of a cache's life: a worker that writes shards, an owner that takes them
// in, merges and publishes them. What was acknowledged stays, and the same work goes on to the same
// generation.
#include <set>
#include <sstream>

#include "storage/record_log.h"
#include "tests/storage/cache_fixture.h"
#include "tests/storage/in_child.h"

namespace halcyon::storage {
namespace {

constexpr uint32_t kShards = 7;
constexpr uint32_t kBatch = 2;
constexpr uint64_t kMergedBytes = 20'000;  // three shards

class CacheKillTest : public CacheTest {
 protected:
  // Not in the test's own process: RocksDB's threads do not survive a fork.
  CacheKillTest() : CacheTest(Begin::kLater) {}

  std::string Acknowledged() { return dir_.Path("acknowledged"); }

  // All shards from where the folder is to the generation, as the holder of the next claim.
  std::string Work() {
    if (Env::Posix()->Exists(Generation())) return Verify();
    const auto claims = RecordLogNumbers(*Env::Posix(), JoinPath(BuildDir(), "log"));
    const uint64_t claim = claims->empty() ? 1 : claims->back() + 1;
    auto opened = TryOpenBuilder({.claim = claim, .merged_bytes = kMergedBytes});
    if (!opened.ok()) return opened.status().ToString();
    CacheBuilder& builder = **opened;
    if (!notes_.empty()) return "lost: " + notes_[0];
    std::set<uint32_t> committed = builder.Committed();
    std::istringstream acknowledged(Env::Posix()->ReadFile(Acknowledged()).value_or(""));
    for (uint32_t shard; acknowledged >> shard;) {
      if (!committed.contains(shard)) return "shard " + std::to_string(shard) + " was done";
    }
    const auto removed = builder.RemoveLeftovers([](const std::string&) { return false; });
    if (!removed.ok()) return removed.ToString();
    for (uint32_t first = 0; first < kShards; first += kBatch) {
      if (std::string error = MakeShards(builder, claim, first, committed); !error.empty()) {
        return error;
      }
      if (const auto merged = builder.MergeSome(); !merged.ok()) return merged.status().ToString();
    }
    const auto published = builder.Publish(Generation(), kShards);
    return published.ok() ? Verify() : published.status().ToString();
  }

  std::string MakeShards(CacheBuilder& builder, uint64_t claim, uint32_t first,
                         const std::set<uint32_t>& committed) {
    std::vector<ShardResult> results;
    for (uint32_t shard = first; shard < std::min(first + kBatch, kShards); ++shard) {
      const uint64_t fence = (claim << 32) + shard;
      if (committed.contains(shard)) continue;
      const std::string path = JoinPath(BuildDir(), std::to_string(claim) + "-" + SstName(shard));
      auto writer = ShardWriter::Create(path, kDataset, shard, fence);
      if (!writer.ok()) return writer.status().ToString();
      for (const auto& [key, value] : PagesOf(shard)) {
        if (const auto added = (*writer)->Add(key, value); !added.ok()) return added.ToString();
      }
      const auto file = (*writer)->Finish({{"shards", 1}});
      if (!file.ok()) return file.status().ToString();
      results.push_back({*file, shard, fence});
    }
    std::string done = Env::Posix()->ReadFile(Acknowledged()).value_or("");
    for (const auto& answer : builder.Ingest(results)) {
      if (!answer.ok()) return answer.status().ToString();
      done += std::to_string(answer->shard) + " ";
    }
    Overwrite(Acknowledged(), done);
    return "";
  }

  std::string Verify() {
    const auto reader = CacheReader::Open(Generation(), kDataset);
    if (!reader.ok()) return reader.status().ToString();
    if (const auto verified = (*reader)->Verify(); !verified.ok()) return verified.ToString();
    std::vector<ShardRecord> expected;
    for (uint32_t shard = 0; shard < kShards; ++shard) {
      ShardDigest digest;
      for (const auto& [key, value] : PagesOf(shard)) digest.Add(key, value);
      expected.emplace_back().content_digest = digest.HexDigest();
    }
    const bool is_expected = (*reader)->content_digest() == DatasetDigest(expected);
    return is_expected ? "" : "other contents than were written";
  }

  void Clear() {
    for (const std::string& path : {BuildDir(), Generation(), Generation() + ".tmp"}) {
      std::filesystem::remove_all(path);
    }
    std::filesystem::remove(Acknowledged());
  }
};

TEST_F(CacheKillTest, AtEveryStepTheSameWorkGoesOn) {
  const std::string list = dir_.Path("points");
  const Child whole = InChild([&] { return Work(); }, "HALCYON_FAULT_LIST", list);
  ASSERT_EQ(whole.said, "");
  std::istringstream lines(Read(list));
  std::vector<std::string> points;
  for (std::string line; std::getline(lines, line);) points.push_back(line);
  // Every kind of step is among them.
  for (const char* part :
       {"sst written", "sst renamed", "cache ingest ", "cache ingested", "cache merge written",
        "cache merge recorded", "cache merge removed", "cache publish linked",
        "cache publish ingested", "cache publish manifest", "cache publish renamed"}) {
    EXPECT_TRUE(std::any_of(points.begin(), points.end(), [&](const std::string& point) {
      return point.starts_with(part);
    })) << part;
  }
  for (const std::string& point : points) {
    SCOPED_TRACE(point);
    Clear();
    const Child killed = InChild([&] { return Work(); }, "HALCYON_FAULT_POINT", point);
    EXPECT_TRUE(killed.killed) << killed.said;
    const Child next = InChild([&] { return Work(); });
    EXPECT_EQ(next.said, "");
    EXPECT_FALSE(std::filesystem::exists(Generation() + ".tmp"));
  }
}

}  // namespace
}  // namespace halcyon::storage
