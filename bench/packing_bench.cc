// How long it takes to open the packing of many documents, what it holds, and how fast whole
// windows come: ids and posteriors. The files are in the page cache.
#include <benchmark/benchmark.h>

#include <memory>
#include <span>
#include <vector>

#include "base/philox.h"
#include "bench/disk_meter.h"
#include "bench/scratch_cache.h"
#include "pipeline/samples/packing.h"
#include "pipeline/samples/window_loader.h"
#include "storage/latent_cache.h"
#include "storage/token_cache.h"

namespace halcyon::pipeline {
namespace {

using bench::HeapBytes;
using storage::BuildCache;
using storage::Must;
using storage::Scratch;

constexpr uint32_t kVocabSize = 8192, kLatentSize = 128;
constexpr PackingRule kRule{.chunk_size = 4, .end_of_text = 1, .padding = 2};

// Documents of 0 to 2 * mean tokens.
auto WriteDocuments(uint64_t documents, uint64_t mean) {
  return [=](const std::string& path, const std::string& dataset, uint32_t shard) {
    storage::TokenShardWriter writer(path, dataset, shard, 0, kVocabSize);
    const PhiloxStream stream(1, NoiseStream::kEvaluation, 0, shard);
    const std::vector<uint32_t> text(2 * mean, 7);
    for (uint64_t i = 0; i < documents; ++i) {
      writer.AddDocument(Split::kTrain, std::span(text).first(stream.Below(i, 2 * mean + 1)));
    }
    return Must(writer.Finish({}));
  };
}

void OpenPacking(benchmark::State& state) {
  constexpr uint64_t kDocumentsPerShard = 200'000;
  const Scratch scratch;
  const auto shards = static_cast<uint32_t>(state.range(0) / kDocumentsPerShard);
  BuildCache(scratch, shards, WriteDocuments(kDocumentsPerShard, 3));
  const int64_t before_reader = HeapBytes();
  storage::TokenReader tokens(Must(storage::CacheReader::Open(scratch.Path("generation"), "")));
  state.counters["reader_bytes"] = static_cast<double>(HeapBytes() - before_reader);
  for (auto _ : state) {
    const int64_t before = HeapBytes();
    const auto packing = Must(Packing::Build(&tokens, kRule));
    state.counters["heap_bytes"] = static_cast<double>(HeapBytes() - before);
  }
}
BENCHMARK(OpenPacking)
    ->ArgName("documents")
    ->Arg(1'000'000)
    ->Arg(100'000'000)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);

// 4 million tokens in documents of 500. `heap_bytes`: of both caches and the packing.
void LoadWindow(benchmark::State& state) {
  constexpr uint32_t kShards = 4;
  const Scratch tokens_scratch, latents_scratch;
  BuildCache(tokens_scratch, kShards, WriteDocuments(2100, 500));
  storage::TokenReader for_latents(
      Must(storage::CacheReader::Open(tokens_scratch.Path("generation"), "")));
  const auto for_counts = Must(Packing::Build(&for_latents, kRule));
  const auto write = [&](const std::string& path, const std::string& dataset, uint32_t shard) {
    auto writer = Must(storage::LatentShardWriter::Create(path, dataset, shard, 0, kLatentSize,
                                                          jobs::LatentFormat::kFloat16));
    const std::vector<float> row(2 * kLatentSize, 0.5f);
    for (uint64_t i = for_counts->ChunksOfShard(shard, Split::kTrain); i > 0; --i) {
      HALCYON_CHECK(writer->Append(Split::kTrain, row).ok());
    }
    return Must(writer->Finish());
  };
  BuildCache(latents_scratch, kShards, write);

  const int64_t before = HeapBytes();
  storage::TokenReader tokens(
      Must(storage::CacheReader::Open(tokens_scratch.Path("generation"), "")));
  storage::LatentReader latents(
      Must(storage::CacheReader::Open(latents_scratch.Path("generation"), "")), kLatentSize);
  const auto packing = Must(Packing::Build(&tokens, kRule));
  const WindowLoader loader(packing.get(), &latents, 64);
  state.counters["heap_bytes"] = static_cast<double>(HeapBytes() - before);
  const uint64_t windows = loader.Windows(Split::kTrain);
  const PhiloxStream stream(2, NoiseStream::kEvaluation, 0, 0);
  std::vector<uint32_t> ids;
  std::vector<float> posteriors;
  uint64_t i = 0;
  const auto load = [&](uint64_t window) {
    ids.clear();
    posteriors.clear();
    HALCYON_CHECK(loader.Load(Split::kTrain, window, &ids, &posteriors).ok());
  };
  for (uint64_t window = 0; window < windows; ++window) load(window);
  for (auto _ : state) load(stream.Below(i++, windows));
  state.SetBytesProcessed(state.iterations() *
                          static_cast<int64_t>(2 * posteriors.size() + 2 * ids.size()));
}
BENCHMARK(LoadWindow);

}  // namespace
}  // namespace halcyon::pipeline
