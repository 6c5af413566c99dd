#include "storage/latent_cache.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/philox.h"
#include "storage/cache_format.h"
#include "tests/storage/cache_fixture.h"

namespace halcyon::storage {
namespace {

using Code = absl::StatusCode;

class LatentCacheTest : public CacheTest {
 protected:
  static constexpr uint32_t kLatentSize = 5;
  static constexpr size_t kWidth = 2 * kLatentSize;

  static std::vector<float> Make(uint64_t seed, size_t chunks) {
    std::vector<float> values(chunks * kWidth);
    PhiloxStream(seed, NoiseStream::kEvaluation, 0, 0).FillNormal(0, values);
    return values;
  }

  std::unique_ptr<LatentShardWriter> Writer(uint32_t shard,
                                            LatentFormat format = LatentFormat::kFloat16) {
    auto writer =
        LatentShardWriter::Create(SstPath(shard), kDataset, shard, 1, kLatentSize, format);
    EXPECT_TRUE(writer.ok()) << writer.status();
    return std::move(*writer);
  }

  std::map<std::string, uint64_t> FinishAndIngest(LatentShardWriter& writer, uint32_t shard) {
    const auto file = writer.Finish();
    EXPECT_TRUE(file.ok()) << file.status();
    const auto record = OpenBuilder()->Ingest({{*file, shard, 1}}).at(0);
    EXPECT_TRUE(record.ok()) << record.status();
    return record->counts;
  }

  LatentReader Publish(uint32_t shards) {
    EXPECT_TRUE(OpenBuilder()->Publish(Generation(), shards).ok());
    return LatentReader(OpenReader(), kLatentSize);
  }
};

class LatentFormatTest : public LatentCacheTest,
                         public ::testing::WithParamInterface<LatentFormat> {};
INSTANTIATE_TEST_SUITE_P(Formats, LatentFormatTest,
                         ::testing::Values(LatentFormat::kFloat16, LatentFormat::kBFloat16,
                                           LatentFormat::kFloat32),
                         [](const auto& format) { return std::string(NameOf(format.param)); });

// Of a float in the format's normal range, from its number of significant bits: 11, 8, 24.
float ErrorMax(LatentFormat format, float value) {
  return format == LatentFormat::kFloat16    ? std::fabs(value) * 0x1p-11f + 0x1p-25f
         : format == LatentFormat::kBFloat16 ? std::fabs(value) * 0x1p-8f
                                             : 0;
}

TEST_P(LatentFormatTest, ReadsBackEveryWindowToItsPrecision) {
  const auto train = Make(1, 3 * kChunksPerPage + 5);
  const auto heldout = Make(2, kChunksPerPage);
  auto writer = Writer(0, GetParam());
  // In uneven pieces: pages do not follow the calls.
  ASSERT_TRUE(writer->Append(Split::kTrain, std::span(train).first(7 * kWidth)).ok());
  ASSERT_TRUE(writer->Append(Split::kTrain, {}).ok());
  ASSERT_TRUE(writer->Append(Split::kTrain, std::span(train).subspan(7 * kWidth)).ok());
  ASSERT_TRUE(writer->Append(Split::kHeldout, heldout).ok());
  EXPECT_EQ(FinishAndIngest(*writer, 0),
            (std::map<std::string, uint64_t>{{"train.chunks", 53}, {"heldout.chunks", 16}}));
  FinishAndIngest(*Writer(1), 1);
  LatentReader reader = Publish(2);
  EXPECT_EQ(reader.Chunks(0, Split::kTrain), 53u);
  EXPECT_EQ(reader.Chunks(0, Split::kHeldout), 16u);
  EXPECT_EQ(reader.Chunks(1, Split::kTrain), 0u);
  for (uint64_t first = 0; first <= 53; ++first) {
    for (uint64_t count = 0; first + count <= 53; ++count) {
      std::vector<float> out(count * kWidth);
      ASSERT_TRUE(reader.Read(0, Split::kTrain, first, out).ok());
      for (size_t i = 0; i < out.size(); ++i) {
        const float value = train[first * kWidth + i];
        ASSERT_LE(std::fabs(out[i] - value), ErrorMax(GetParam(), value));
      }
    }
  }
  std::vector<float> out(heldout.size());
  ASSERT_TRUE(reader.Read(0, Split::kHeldout, 0, out).ok());
  std::vector<float> rounded = heldout;
  RoundNumbers(GetParam(), rounded);
  EXPECT_EQ(out, rounded);
  EXPECT_EQ(rounded == heldout, GetParam() == LatentFormat::kFloat32);
  EXPECT_EQ(*reader.FormatAt(0, Split::kTrain, 52), GetParam());
  EXPECT_EQ(CodeOf(reader.FormatAt(0, Split::kTrain, 53)), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf(reader.FormatAt(2, Split::kTrain, 0)), Code::kInvalidArgument);
}

TEST_P(LatentFormatTest, AFlippedBitOrACutIsNeverRead) {
  const auto train = Make(1, kChunksPerPage + 3);
  auto writer = Writer(0, GetParam());
  ASSERT_TRUE(writer->Append(Split::kTrain, train).ok());
  FinishAndIngest(*writer, 0);
  std::vector<float> good(train.size()), out(train.size());
  ASSERT_TRUE(Publish(1).Read(0, Split::kTrain, 0, good).ok());
  const std::string path = FilesEnding(Generation(), ".sst").at(0), bytes = storage::Read(path);
  uint64_t noticed = 0;
  constexpr uint64_t kStep = 7;
  for (uint64_t offset = 0; offset < bytes.size(); offset += kStep) {
    FlipBit(path, offset, static_cast<int>(offset % 8));
    auto cache = CacheReader::Open(Generation(), kDataset);
    if (cache.ok()) {
      LatentReader reader(*std::move(cache), kLatentSize);
      const absl::Status read = reader.Read(0, Split::kTrain, 0, out);
      EXPECT_EQ(out == good, read.ok()) << offset;
      // The version, where it is what was hit.
      EXPECT_THAT(CodeOf(read),
                  ::testing::AnyOf(Code::kOk, Code::kDataLoss, Code::kFailedPrecondition));
      noticed += !read.ok();
    }
    std::ranges::fill(out, 0);
    Overwrite(path, bytes);
  }
  // All that lie in the two pages.
  EXPECT_GE(noticed,
            (train.size() * BytesOf(ElementOf(GetParam())) + 2 * kPageHeaderBytes) / kStep);
  Truncate(path, 1);
  EXPECT_EQ(CodeOf(TryOpenReader()), Code::kDataLoss);
}

TEST_F(LatentCacheTest, ValuesOfATypeThatLatentsDoNotHaveAreDamage) {
  const PageKey key{0, Split::kTrain, PageKind::kLatents, 0};
  auto writer = ShardWriter::Create(SstPath(0), kDataset, 0, 1);
  const std::string payload(4 * kWidth, 'x');
  ASSERT_TRUE((*writer)->Add(key, EncodePage(key, {Element::kU32, 1, kWidth, payload})).ok());
  const auto file = (*writer)->Finish({{"train.chunks", 1}});
  ASSERT_TRUE(OpenBuilder()->Ingest({{*file, 0, 1}}).at(0).ok());
  LatentReader reader = Publish(1);
  std::vector<float> out(kWidth);
  EXPECT_EQ(CodeOf(reader.Read(0, Split::kTrain, 0, out)), Code::kDataLoss);
}

TEST_F(LatentCacheTest, HeldoutAloneIsAShard) {
  const auto heldout = Make(1, 3);
  auto writer = Writer(0);
  ASSERT_TRUE(writer->Append(Split::kHeldout, heldout).ok());
  FinishAndIngest(*writer, 0);
  LatentReader reader = Publish(1);
  std::vector<float> out(heldout.size());
  EXPECT_TRUE(reader.Read(0, Split::kHeldout, 0, out).ok());
  EXPECT_EQ(reader.Chunks(0, Split::kTrain), 0u);
}

TEST_P(LatentFormatTest, RefusesValuesThatItCannotHold) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  auto writer = Writer(0, GetParam());
  const float largest = LargestOf(GetParam());
  std::vector<float> row(kWidth, largest);
  ASSERT_TRUE(writer->Append(Split::kTrain, row).ok());
  for (const float bad : {std::nextafter(largest, kInfinity), -std::nextafter(largest, kInfinity),
                          -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    row.back() = bad;
    const absl::Status refused = writer->Append(Split::kTrain, row);
    EXPECT_EQ(CodeOf(refused), Code::kInvalidArgument) << bad;
    EXPECT_NE(MessageOf(refused).find(NameOf(GetParam())), std::string::npos) << refused;
  }
  row.back() = -largest;
  ASSERT_TRUE(writer->Append(Split::kTrain, row).ok());
  FinishAndIngest(*writer, 0);
  std::vector<float> out(2 * kWidth, 0);
  ASSERT_TRUE(Publish(1).Read(0, Split::kTrain, 0, out).ok());
  EXPECT_EQ(out.front(), largest);
  EXPECT_EQ(out.back(), -largest);
}

TEST(LatentFormats, LargestIsTheLastFiniteOne) {
  EXPECT_EQ(LargestOf(LatentFormat::kFloat16), 65504.0f);
  EXPECT_EQ(LargestOf(LatentFormat::kBFloat16), std::bit_cast<float>(0x7f7f0000));
  EXPECT_EQ(LargestOf(LatentFormat::kFloat32), 3.40282347e38f);
}

TEST_F(LatentCacheTest, RefusesPartialRowsAndSplitsOutOfOrder) {
  auto writer = Writer(0);
  EXPECT_EQ(CodeOf(writer->Append(Split::kTrain, std::vector<float>(kWidth + 1))),
            Code::kInvalidArgument);
  ASSERT_TRUE(writer->Append(Split::kHeldout, Make(1, 1)).ok());
  EXPECT_EQ(CodeOf(writer->Append(Split::kTrain, Make(1, 1))), Code::kInvalidArgument);
}

TEST_F(LatentCacheTest, RefusesReadsPastTheEndAndOfAnotherSize) {
  auto writer = Writer(0);
  ASSERT_TRUE(writer->Append(Split::kTrain, Make(1, 20)).ok());
  FinishAndIngest(*writer, 0);
  LatentReader reader = Publish(1);
  std::vector<float> out(2 * kWidth);
  EXPECT_TRUE(reader.Read(0, Split::kTrain, 18, out).ok());
  for (const uint64_t first : {uint64_t{19}, uint64_t{21}, ~uint64_t{0}}) {
    EXPECT_EQ(CodeOf(reader.Read(0, Split::kTrain, first, out)), Code::kInvalidArgument) << first;
  }
  EXPECT_EQ(CodeOf(reader.Read(1, Split::kTrain, 0, out)), Code::kInvalidArgument);
  out.pop_back();
  EXPECT_EQ(CodeOf(reader.Read(0, Split::kTrain, 0, out)), Code::kInvalidArgument);
  LatentReader other(OpenReader(), kLatentSize + 1);
  out.resize(kWidth + 2);
  EXPECT_EQ(CodeOf(other.Read(0, Split::kTrain, 0, out)), Code::kFailedPrecondition);
}

// docs/latent_cache_format.md: at most 1.5 times its own chunks from 66 chunks on, wherever the
// window lies; counted page by page.
TEST(LatentPages, AWindowReadsAtMostOneAndAHalfTimesItself) {
  const auto worst = [](uint64_t window) {
    uint64_t most = 0;
    for (uint64_t first = 0; first < kChunksPerPage; ++first) {
      const uint64_t pages = (first + window - 1) / kChunksPerPage + 1;
      most = std::max(most, pages * kChunksPerPage);
    }
    return static_cast<double>(most) / static_cast<double>(window);
  };
  for (uint64_t window = 66; window <= 4096; ++window) EXPECT_LE(worst(window), 1.5) << window;
  EXPECT_EQ(worst(32), 1.5);
  EXPECT_EQ(worst(64), 1.25);
}

}  // namespace
}  // namespace halcyon::storage
