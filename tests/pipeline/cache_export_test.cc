#include "pipeline/cache_export.h"

#include "base/env.h"
#include "pipeline/npy.h"
#include "pipeline/token_files/stored_ids.h"
#include "storage/half.h"
#include "tests/pipeline/cache_fixture.h"

namespace halcyon::pipeline {
namespace {

using storage::Split;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CacheExportTest : public CachedDataTest {
 protected:
  CacheExportTest() { EXPECT_TRUE(Env::Posix()->CreateDirs(folder_).ok()); }
  std::vector<ExportedArray> Export(const std::string& name) {
    const auto cache = storage::CacheReader::Open(dir_.Path(name), /*dataset=*/"");
    EXPECT_TRUE(cache.ok()) << cache.status();
    auto arrays = ExportCache(**cache, folder_);
    EXPECT_TRUE(arrays.ok()) << arrays.status();
    return arrays.ok() ? *std::move(arrays) : std::vector<ExportedArray>();
  }
  // What follows the header.
  std::string Data(const std::string& name, size_t bytes) {
    const std::string file = *Env::Posix()->ReadFile(folder_ + "/" + name);
    EXPECT_GE(file.size(), bytes);
    return file.substr(file.size() - bytes);
  }
  const std::string folder_ = dir_.Path("arrays");
};

TEST_F(CacheExportTest, TokensAreThoseOfAllShards) {
  Document many(40'000);  // more than a page
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<uint32_t>(i % 997);
  WriteTokens({{{{{1, 2}, {3}}, {}}}, {{{many, {}, {4}}, {{5, 6, 7}}}}});
  const auto arrays = Export("tokens");
  ASSERT_EQ(arrays.size(), 4u);
  EXPECT_EQ(arrays[0].path, folder_ + "/train_tokens.npy");
  EXPECT_EQ(arrays[0].type, "<u2");
  EXPECT_THAT(arrays[0].shape, ElementsAre(40'004));
  std::vector<uint32_t> all = {1, 2, 3};
  all.insert(all.end(), many.begin(), many.end());
  all.push_back(4);
  std::string bytes;
  for (const uint32_t token : all) {
    bytes += static_cast<char>(token & 0xFF);
    bytes += static_cast<char>(token >> 8);
  }
  EXPECT_EQ(Data("train_tokens.npy", bytes.size()), bytes);
  EXPECT_THAT(*ReadIds(*Env::Posix(), folder_ + "/train_lengths.npy", 1 << 16),
              ElementsAre(2, 1, 40'000, 0, 1));
  EXPECT_THAT(*ReadIds(*Env::Posix(), folder_ + "/heldout_lengths.npy", 1 << 16), ElementsAre(3));
}

TEST_F(CacheExportTest, ASplitWithoutDocumentsHasNoFiles) {
  WriteTokens({{{{{1, 2}}, {}}}});
  EXPECT_EQ(Export("tokens").size(), 2u);
  EXPECT_FALSE(Env::Posix()->Exists(folder_ + "/heldout_tokens.npy"));
}

TEST_F(CacheExportTest, LatentsAreMeanAndLogStdOfEachChunk) {
  WriteTokens({{{{Document(70, 1)}, {}}}, {{{Document(5, 2)}, {Document(9, 3)}}}});
  const auto packing = Pack(2);
  WriteLatents(*packing);
  const auto arrays = Export("latents");
  ASSERT_EQ(arrays.size(), 2u);
  EXPECT_EQ(arrays[0].type, "<f2");
  EXPECT_THAT(arrays[0].shape, ElementsAre(packing->ChunksOfShard(0, Split::kTrain) +
                                               packing->ChunksOfShard(1, Split::kTrain),
                                           2 * kLatentSize));
  std::vector<float> expected;
  for (uint32_t shard = 0; shard < 2; ++shard) {
    for (uint64_t chunk = 0; chunk < packing->ChunksOfShard(shard, Split::kTrain); ++chunk) {
      const auto row = Posterior(shard, Split::kTrain, chunk);
      expected.insert(expected.end(), row.begin(), row.end());
    }
  }
  std::vector<float> values(expected.size());
  storage::DecodeHalves(Data("train_latents.npy", 2 * values.size()).data(), values);
  EXPECT_EQ(values, expected);
}

// Their values are exact in bfloat16.
TEST_F(CacheExportTest, LatentsThatNumPyHasNoTypeOf16BitsForAreFloat32) {
  WriteTokens({{{{Document(70, 1)}, {}}}});
  const auto packing = Pack(2);
  for (const auto format : {storage::LatentFormat::kBFloat16, storage::LatentFormat::kFloat32}) {
    for (const char* folder : {"latents", "latents-build"}) {
      EXPECT_TRUE(Env::Posix()->RemoveTree(dir_.Path(folder)).ok());
    }
    WriteLatents(*packing, Posterior, format);
    const auto arrays = Export("latents");
    ASSERT_EQ(arrays.size(), 1u);
    EXPECT_EQ(arrays[0].type, "<f4");
    EXPECT_THAT(arrays[0].shape,
                ElementsAre(packing->ChunksOfShard(0, Split::kTrain), 2 * kLatentSize));
    std::vector<float> expected;
    for (uint64_t chunk = 0; chunk < packing->ChunksOfShard(0, Split::kTrain); ++chunk) {
      const auto row = Posterior(0, Split::kTrain, chunk);
      expected.insert(expected.end(), row.begin(), row.end());
    }
    const std::string bytes = Data("train_latents.npy", 4 * expected.size());
    EXPECT_EQ(bytes, std::string(reinterpret_cast<const char*>(expected.data()), bytes.size()));
  }
}

TEST_F(CacheExportTest, TheHeaderOfAMatrixIsNumPys) {
  const std::vector<uint64_t> shape = {2, 3};
  const auto writer = NpyWriter::Create(folder_ + "/a.npy", "<f2", shape);
  ASSERT_TRUE((*writer)->Append(std::string(11, 'x')).ok());
  EXPECT_FALSE((*writer)->Append("xx").ok()) << "a byte too many";
  EXPECT_FALSE((*writer)->Close().ok()) << "a byte is missing";
  ASSERT_TRUE((*writer)->Append("x").ok());
  ASSERT_TRUE((*writer)->Close().ok());
  const std::string file = *Env::Posix()->ReadFile(folder_ + "/a.npy");
  EXPECT_THAT(file, HasSubstr("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }"));
  EXPECT_EQ(file.size(), 128u + 12u);
}

}  // namespace
}  // namespace halcyon::pipeline
