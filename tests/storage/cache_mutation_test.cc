// The fuzzer's checks of the caches' bytes on mutations with a fixed seed: the same in every build.
#include <gtest/gtest.h>

#include "tests/fuzz/cache_parser.h"
#include "tests/testing/mutate.h"

namespace halcyon::storage {
namespace {

constexpr uint64_t kMutants = 5000;
constexpr PageKey kPageKey = {3, Split::kTrain, PageKind::kTokens, 7};

std::string PageOf(const PageKey& key, size_t tokens) {
  const std::string payload(4 * tokens, 'x');
  return EncodePage(key, {Element::kU32, static_cast<uint32_t>(tokens), 1, payload});
}

TEST(CacheMutation, KeysAreRefusedOrMeanWhatTheySay) {
  const std::string key = EncodeKey(std::string(64, 'a'), kPageKey);
  uint64_t accepted = 0;
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    accepted += CheckCacheKeyParser(testing::Mutate(key, mutant)) ? 1 : 0;
  }
  EXPECT_GT(accepted, kMutants / 100);
}

TEST(CacheMutation, NoDamagedPageIsAccepted) {
  const std::string page = PageOf(kPageKey, 20);
  EXPECT_TRUE(CheckPageParser(kPageKey, page));
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    const std::string damaged = testing::Mutate(page, mutant);
    EXPECT_EQ(CheckPageParser(kPageKey, damaged), damaged == page) << mutant;
  }
}

TEST(CacheMutation, ADamagedExtentIsRefusedOrHasWholePages) {
  PageKey before = kPageKey;
  --before.page;
  const std::string extent = PageOf(before, 20) + PageOf(kPageKey, 11);
  EXPECT_TRUE(CheckExtentParser(kPageKey, extent));
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    CheckExtentParser(kPageKey, testing::Mutate(extent, mutant));
  }
}

TEST(CacheMutation, NoDamagedRecordIsAccepted) {
  ShardRecord record;
  record.dataset = std::string(64, 'a');
  record.shard = 3;
  record.counts = {{"train.tokens", 31}};
  record.content_digest = std::string(64, 'b');
  const std::string value = EncodeRecord(record);
  EXPECT_TRUE(CheckRecordParser(3, value));
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    const std::string damaged = testing::Mutate(value, mutant);
    EXPECT_EQ(CheckRecordParser(3, damaged), damaged == value) << mutant;
  }
}

}  // namespace
}  // namespace halcyon::storage
