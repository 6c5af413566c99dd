// Token and latent caches of a test: published data sets with known contents.
#ifndef HALCYON_TESTS_PIPELINE_CACHE_FIXTURE_H_
#define HALCYON_TESTS_PIPELINE_CACHE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/samples/packing.h"
#include "storage/latent_cache.h"
#include "storage/token_cache.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::pipeline {

using Document = std::vector<uint32_t>;
// By split.
using ShardDocuments = std::array<std::vector<Document>, storage::kSplits>;

inline constexpr uint32_t kEnd = 1000, kPad = 1001;  // end-of-text and padding

class CachedDataTest : public ::testing::Test {
 protected:
  // Publishes these documents, a ShardDocuments for each shard.
  void WriteTokens(const std::vector<ShardDocuments>& shards) {
    const std::string dataset(64, 'a');
    Publish("tokens", dataset, shards.size(), [&](uint32_t shard, const std::string& path) {
      storage::TokenShardWriter writer(path, dataset, shard, 1, 1002);
      for (int split = 0; split < storage::kSplits; ++split) {
        for (const Document& document : shards[shard][split]) {
          writer.AddDocument(static_cast<Split>(split), document);
        }
      }
      return writer.Finish({});
    });
    tokens_ = std::make_unique<storage::TokenReader>(Open("tokens", dataset));
  }

  std::unique_ptr<Packing> Pack(uint32_t chunk_size) {
    auto packing = Packing::Build(tokens_.get(),
                                  {.chunk_size = chunk_size, .end_of_text = kEnd, .padding = kPad});
    EXPECT_TRUE(packing.ok()) << packing.status();
    return std::move(*packing);
  }

  // Row of a chunk of a shard: numbers that no other chunk has, exact in half precision; of the
  // first 256 chunks in bfloat16, too.
  static std::vector<float> Posterior(uint32_t shard, Split split, uint64_t chunk) {
    const auto base = static_cast<float>(2 * shard + static_cast<uint32_t>(split));
    return {static_cast<float>(chunk), base, -base, -static_cast<float>(chunk) / 4};
  }
  static constexpr uint32_t kLatentSize = 2;

  using PosteriorOf =
      std::function<std::vector<float>(uint32_t shard, Split split, uint64_t chunk)>;
  // Publishes a posterior for each chunk of `packing`.
  void WriteLatents(const Packing& packing, const PosteriorOf& posterior_of = Posterior,
                    storage::LatentFormat format = storage::LatentFormat::kFloat16) {
    const std::string dataset(64, 'b');
    Publish("latents", dataset, packing.shards(), [&](uint32_t shard, const std::string& path) {
      auto writer =
          storage::LatentShardWriter::Create(path, dataset, shard, 1, kLatentSize, format);
      EXPECT_TRUE(writer.ok()) << writer.status();
      for (const Split split : {Split::kTrain, Split::kHeldout}) {
        for (uint64_t chunk = 0; chunk < packing.ChunksOfShard(shard, split); ++chunk) {
          EXPECT_TRUE((*writer)->Append(split, posterior_of(shard, split, chunk)).ok());
        }
      }
      return (*writer)->Finish();
    });
    latents_ = std::make_unique<storage::LatentReader>(Open("latents", dataset), kLatentSize);
  }

  testing::TempDir dir_;
  std::unique_ptr<storage::TokenReader> tokens_;
  std::unique_ptr<storage::LatentReader> latents_;

 private:
  using WriteShard =
      std::function<absl::StatusOr<storage::SstFile>(uint32_t shard, const std::string& path)>;

  void Publish(const std::string& name, const std::string& dataset, size_t shards,
               const WriteShard& write) {
    std::vector<std::string> notes;
    auto builder =
        storage::CacheBuilder::Open(*Env::Posix(), dir_.Path(name + "-build"), dataset, {}, &notes);
    ASSERT_TRUE(builder.ok()) << builder.status();
    for (uint32_t shard = 0; shard < shards; ++shard) {
      const auto file = write(shard, dir_.Path(name + "-build/" + std::to_string(shard) + ".sst"));
      ASSERT_TRUE(file.ok()) << file.status();
      const auto record = (*builder)->Ingest({{*file, shard, 1}}).at(0);
      ASSERT_TRUE(record.ok()) << record.status();
    }
    const auto published = (*builder)->Publish(dir_.Path(name), static_cast<uint32_t>(shards));
    ASSERT_TRUE(published.ok()) << published.status();
  }
  std::unique_ptr<storage::CacheReader> Open(const std::string& name, const std::string& dataset) {
    auto reader = storage::CacheReader::Open(dir_.Path(name), dataset);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return std::move(*reader);
  }
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_TESTS_PIPELINE_CACHE_FIXTURE_H_
