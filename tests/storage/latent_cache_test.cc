#include "storage/latent_cache.h"

#include <cmath>
#include <limits>

#include "base/philox.h"
#include "storage/half.h"
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

  std::unique_ptr<LatentShardWriter> Writer(uint32_t shard) {
    auto writer = LatentShardWriter::Create(SstPath(shard), kDataset, shard, 1, kLatentSize);
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

// A float in the range of a normal half keeps 11 significant bits.
TEST_F(LatentCacheTest, ReadsBackEveryWindowToHalfPrecision) {
  const auto train = Make(1, 3 * kChunksPerPage + 5);
  const auto heldout = Make(2, kChunksPerPage);
  auto writer = Writer(0);
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
        ASSERT_LE(std::fabs(out[i] - value), std::fabs(value) * 0x1p-11f + 0x1p-25f);
      }
    }
  }
  std::vector<float> out(heldout.size());
  ASSERT_TRUE(reader.Read(0, Split::kHeldout, 0, out).ok());
  for (size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(out[i], FloatFromHalf(HalfFromFloat(heldout[i])));
  }
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

TEST_F(LatentCacheTest, RefusesValuesThatNoHalfCanHold) {
  auto writer = Writer(0);
  std::vector<float> row(kWidth, 65504.0f);
  ASSERT_TRUE(writer->Append(Split::kTrain, row).ok());
  for (const float bad : {65505.0f, -1e6f, std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    row.back() = bad;
    EXPECT_EQ(CodeOf(writer->Append(Split::kTrain, row)), Code::kInvalidArgument) << bad;
  }
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
