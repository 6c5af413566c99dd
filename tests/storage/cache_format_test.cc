// The bytes against docs/latent_cache_format.md, whose worked example is the known answer here.
#include "storage/cache_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "storage/cache_manifest.h"
#include "tests/testing/mutate.h"

namespace halcyon::storage {
namespace {

using Code = absl::StatusCode;

constexpr uint64_t kMutants = 20000;
const std::string kDataset = "0123456789abcdef" + std::string(48, '0');
const PageKey kKey{3, Split::kHeldout, PageKind::kTokens, 7};

std::string TestPage() {
  return EncodePage(kKey, {Element::kU16, 3, 1, std::string_view("\x01\x00\x02\x00\xf4\x01", 6)});
}

// A page of each kind of element, in the same place.
std::vector<std::string> TestPages() {
  std::vector<std::string> pages;
  for (const Element element :
       {Element::kU16, Element::kU32, Element::kF16, Element::kBF16, Element::kF32}) {
    pages.push_back(EncodePage(
        kKey, {element, 3, 2, std::string_view("abcdefghijklmnopqrstuvwx", 6 * BytesOf(element))}));
  }
  return pages;
}

ShardRecord TestRecord() {
  ShardRecord record;
  record.dataset = kDataset;
  record.shard = 3;
  record.fence = uint64_t{1} << 63;
  record.pages = 2;
  record.counts = {{"train.tokens", 5}, {"heldout.tokens", 0}};
  record.content_digest = std::string(64, 'd');
  return record;
}

TEST(CacheFormat, WorkedExample) {
  EXPECT_EQ(absl::BytesToHexString(EncodeKey(kDataset, kKey)),
            "0123456789abcdef00000003010100000007");
  EXPECT_EQ(absl::BytesToHexString(EncodeRecordKey(kDataset, 3)),
            "0123456789abcdef00000003ffffffffffff");
  EXPECT_EQ(absl::BytesToHexString(TestPage()),
            "020101000300000001000000"
            "4cac5465b2f5c289"
            "01000200f401");
}

TEST(CacheFormat, KeysSortAsTheirMembersAndTheRecordLast) {
  std::vector<PageKey> keys;
  for (const uint32_t shard : {0u, 1u, 255u, 256u, 0xffffffffu}) {
    for (const Split split : {Split::kTrain, Split::kHeldout}) {
      for (const PageKind kind :
           {PageKind::kTokens, PageKind::kDocumentLengths, PageKind::kLatents}) {
        for (const uint32_t page : {0u, 1u, 255u, 256u, 0xffffffffu}) {
          keys.push_back({shard, split, kind, page});
        }
      }
    }
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string bytes = EncodeKey(kDataset, keys[i]);
    const auto decoded = DecodeKey(bytes);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->page, keys[i]);
    EXPECT_FALSE(decoded->is_record);
    EXPECT_EQ(decoded->dataset_prefix, "0123456789abcdef");
    EXPECT_LT(bytes, EncodeRecordKey(kDataset, keys[i].shard));
    if (i == 0) continue;
    EXPECT_LT(keys[i - 1], keys[i]);
    EXPECT_LT(EncodeKey(kDataset, keys[i - 1]), bytes);
    if (keys[i - 1].shard < keys[i].shard) {
      EXPECT_LT(EncodeRecordKey(kDataset, keys[i - 1].shard), bytes);
    }
  }
  EXPECT_TRUE(DecodeKey(EncodeRecordKey(kDataset, 9))->is_record);
}

TEST(CacheFormat, DatasetsAreFingerprints) {
  EXPECT_TRUE(CheckDataset(kDataset).ok());
  const std::string digits(63, '0');
  for (const std::string& bad :
       {std::string(), digits, digits + "00", digits + "g", digits + "A"}) {
    EXPECT_EQ(CheckDataset(bad).code(), Code::kInvalidArgument) << bad;
  }
}

TEST(CacheFormat, PageRoundTrip) {
  const std::string value = TestPage();
  ASSERT_TRUE(VerifyPage(kKey, value).ok());
  const auto page = ParsePage(kKey, value);
  EXPECT_EQ(page->element, Element::kU16);
  EXPECT_EQ(page->count, 3u);
  EXPECT_EQ(page->width, 1u);
  EXPECT_EQ(absl::BytesToHexString(ToAbsl(page->payload)), "01000200f401");
}

TEST(CacheFormat, EveryBitOfAPageAndItsPlaceIsGuarded) {
  for (const std::string& value : TestPages()) {
    ASSERT_TRUE(VerifyPage(kKey, value).ok());
    for (size_t bit = 0; bit < 8 * value.size(); ++bit) {
      std::string damaged = value;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
      EXPECT_FALSE(VerifyPage(kKey, damaged).ok()) << bit;
    }
    for (size_t bytes = 0; bytes < value.size(); ++bytes) {
      EXPECT_EQ(VerifyPage(kKey, value.substr(0, bytes)).code(), Code::kDataLoss) << bytes;
    }
    EXPECT_EQ(PageBytesOf(value + "the next page"), value.size());
  }
  const std::string value = TestPage();
  for (const PageKey& other : {PageKey{2, Split::kHeldout, PageKind::kTokens, 7},
                               PageKey{3, Split::kTrain, PageKind::kTokens, 7},
                               PageKey{3, Split::kHeldout, PageKind::kLatents, 7},
                               PageKey{3, Split::kHeldout, PageKind::kTokens, 8}}) {
    EXPECT_EQ(VerifyPage(other, value).code(), Code::kDataLoss) << Describe(other);
  }
}

TEST(CacheFormat, ANewerVersionIsNotGuessedAt) {
  std::string value = TestPage();
  value[0] = 3;
  EXPECT_EQ(ParsePage(kKey, value).status().code(), Code::kFailedPrecondition);
  std::string record = EncodeRecord(TestRecord());
  record[0] = 3;
  EXPECT_EQ(DecodeRecord(3, record).status().code(), Code::kFailedPrecondition);
}

TEST(CacheFormat, AnElementThatDoesNotExistIsDamage) {
  for (const uint8_t code : {0, 7, 255}) {
    std::string value = TestPage();
    value[2] = static_cast<char>(code);
    EXPECT_EQ(ParsePage(kKey, value).status().code(), Code::kDataLoss) << int{code};
    EXPECT_EQ(PageBytesOf(value), 0u) << int{code};
  }
}

TEST(CacheFormat, AHeaderWhoseProductOverflowsIsDamage) {
  // 2^32-1 rows of 2^32-1 values of 4 bytes: more than 2^64, so the product wraps around.
  std::string value = TestPage();
  value[2] = static_cast<char>(Element::kU32);
  for (size_t i = 4; i < 12; ++i) value[i] = '\xff';
  EXPECT_EQ(ParsePage(kKey, value).status().code(), Code::kDataLoss);
}

TEST(CacheFormat, RecordRoundTrip) {
  const auto record = DecodeRecord(3, EncodeRecord(TestRecord()));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->dataset, kDataset);
  EXPECT_EQ(record->shard, 3u);
  EXPECT_EQ(record->fence, uint64_t{1} << 63);
  EXPECT_EQ(record->pages, 2u);
  EXPECT_EQ(record->counts, TestRecord().counts);
  EXPECT_EQ(record->content_digest, std::string(64, 'd'));
  EXPECT_EQ(DecodeRecord(4, EncodeRecord(TestRecord())).status().code(), Code::kDataLoss);
}

// Every mutant must be refused with a code that says why, unless it is the original.
template <typename Decode>
void RunMutants(const std::string& original, Decode decode) {
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    const std::string bytes = testing::Mutate(original, mutant);
    const absl::Status status = decode(bytes);
    if (bytes == original) continue;
    EXPECT_TRUE(status.code() == Code::kDataLoss || status.code() == Code::kFailedPrecondition)
        << mutant << ": " << status;
  }
}

TEST(CacheFormat, MutatedPagesAndRecordsAreRefused) {
  RunMutants(TestPage(), [](const std::string& bytes) { return VerifyPage(kKey, bytes); });
  for (const std::string& page : TestPages()) {
    RunMutants(page, [](const std::string& bytes) { return VerifyPage(kKey, bytes); });
  }
  RunMutants(EncodeRecord(TestRecord()),
             [](const std::string& bytes) { return DecodeRecord(3, bytes).status(); });
}

// A manifest has no checksum of its own; what is accepted must have one meaning.
TEST(CacheFormat, MutatedManifestsAreRefusedOrRoundTrip) {
  CacheManifest manifest{kDataset, std::string(64, 'd'), 2, {{"000004.sst", 99, "00ff00ff"}}};
  const std::string original = EncodeManifest(manifest);
  uint64_t accepted = 0;
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    const auto decoded = DecodeManifest(testing::Mutate(original, mutant));
    if (!decoded.ok()) continue;
    ++accepted;
    const auto again = DecodeManifest(EncodeManifest(*decoded));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(EncodeManifest(*again), EncodeManifest(*decoded));
  }
  EXPECT_GT(accepted, 0u);
  EXPECT_LT(accepted, kMutants / 2);
}

TEST(CacheFormat, MutatedKeysAreRefusedOrRoundTrip) {
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    const std::string bytes = testing::Mutate(EncodeKey(kDataset, kKey), mutant);
    const auto key = DecodeKey(bytes);
    if (!key.ok()) {
      EXPECT_EQ(key.status().code(), Code::kDataLoss);
      continue;
    }
    const std::string dataset = key->dataset_prefix + std::string(48, '0');
    EXPECT_EQ(
        key->is_record ? EncodeRecordKey(dataset, key->page.shard) : EncodeKey(dataset, key->page),
        bytes);
  }
}

}  // namespace
}  // namespace halcyon::storage
