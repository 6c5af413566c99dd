// How fast training reads its data and the coordinator writes its journal. TMPDIR chooses the disk;
// the files are in the page cache while they are read.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/philox.h"
#include "bench/disk_meter.h"
#include "bench/scratch_cache.h"
#include "storage/job_journal.h"
#include "storage/latent_cache.h"
#include "storage/token_cache.h"

namespace halcyon::storage {
namespace {

using bench::DiskBytesRead;
using bench::DropPages;
using bench::HeapBytes;

constexpr uint32_t kShards = 4;
constexpr uint32_t kLatentSize = 128;
constexpr uint64_t kChunksPerShard = 16384;  // 8 MiB of latents
constexpr uint32_t kChunkSize = 4;
constexpr uint32_t kVocabSize = 8192;

// The same values again and again in a shard of more chunks.
SstFile WriteChunks(const std::string& path, const std::string& dataset, uint32_t shard,
                    uint64_t chunks, LatentFormat format = LatentFormat::kFloat16) {
  auto writer = Must(LatentShardWriter::Create(path, dataset, shard, 0, kLatentSize, format));
  std::vector<float> values(2 * kLatentSize * kChunksPerShard);
  PhiloxStream(1, NoiseStream::kEvaluation, 0, shard).FillNormal(0, values);
  for (; chunks > 0; chunks -= kChunksPerShard) {
    HALCYON_CHECK(writer->Append(Split::kTrain, values).ok());
  }
  return Must(writer->Finish());
}

SstFile WriteLatents(const std::string& path, const std::string& dataset, uint32_t shard) {
  return WriteChunks(path, dataset, shard, kChunksPerShard);
}

SstFile WriteTokens(const std::string& path, const std::string& dataset, uint32_t shard) {
  TokenShardWriter writer(path, dataset, shard, 0, kVocabSize);
  std::vector<uint32_t> tokens(kChunkSize * kChunksPerShard);
  PhiloxStream(1, NoiseStream::kEvaluation, 0, shard).FillBits(0, tokens);
  for (uint32_t& token : tokens) token %= kVocabSize;
  writer.AddDocument(Split::kTrain, tokens);
  return Must(writer.Finish({}));
}

// Windows of `window` positions of a stream of `total`, in random order over all shards.
class RandomWindows {
 public:
  RandomWindows(uint64_t window, uint64_t total) : window_(window), total_(total) {}
  uint32_t shard() const { return static_cast<uint32_t>(stream_.Below(2 * i_, kShards)); }
  uint64_t first() const { return stream_.Below(2 * i_ + 1, total_ - window_ + 1); }
  void Next() { ++i_; }

 private:
  PhiloxStream stream_{2, NoiseStream::kEvaluation, 0, 0};
  uint64_t window_, total_, i_ = 0;
};

constexpr uint64_t kManyChunks = 16 * kChunksPerShard;  // 128 MiB a shard of numbers of 16 bits

// bytes_per_second is that of the latents as they are stored, all checksums on; items_per_second
// that of their tokens. `cold_us` is the
// time on the clock of a window that is not in the page cache, and `amplification` how many times
// its own bytes the disk then gives. `heap_bytes` is what the reader holds, for 8.4 million tokens.
void LatentWindow(benchmark::State& state) {
  const Scratch scratch;
  const auto window = static_cast<uint64_t>(state.range(0));
  const auto format = static_cast<LatentFormat>(state.range(1));
  state.SetLabel(std::string(NameOf(format)));
  std::vector<float> out(2 * kLatentSize * window);
  const uint64_t window_bytes = BytesOf(ElementOf(format)) * out.size();
  BuildCache(scratch, kShards,
             [&](const std::string& path, const std::string& dataset, uint32_t shard) {
               return WriteChunks(path, dataset, shard, kManyChunks, format);
             });
  RandomWindows at(window, kManyChunks);
  const auto read = [&](LatentReader& reader) {
    HALCYON_CHECK(reader.Read(at.shard(), Split::kTrain, at.first(), out).ok());
    at.Next();
  };
  DropPages(scratch.Path("generation"));
  const int64_t heap_bytes = HeapBytes();
  LatentReader reader(Must(CacheReader::Open(scratch.Path("generation"), "")), kLatentSize);
  const uint64_t disk_bytes = DiskBytesRead();
  const int64_t began_ms = Clock::Real()->MonotonicMs();
  constexpr int kCold = 300;
  for (int i = 0; i < kCold; ++i) read(reader);
  state.counters["cold_us"] =
      1000.0 * static_cast<double>(Clock::Real()->MonotonicMs() - began_ms) / kCold;
  state.counters["amplification"] =
      static_cast<double>(DiskBytesRead() - disk_bytes) / static_cast<double>(kCold * window_bytes);
  for (uint32_t shard = 0; shard < kShards; ++shard) {
    for (uint64_t first = 0; first + window <= kManyChunks; first += window) {
      HALCYON_CHECK(reader.Read(shard, Split::kTrain, first, out).ok());
    }
  }
  state.counters["heap_bytes"] = static_cast<double>(HeapBytes() - heap_bytes);
  for (auto _ : state) read(reader);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(window_bytes));
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(window * kChunkSize));
}
BENCHMARK(LatentWindow)
    ->ArgNames({"chunks", "format"})
    ->ArgsProduct({{64, 256, 2048},
                   {static_cast<int64_t>(LatentFormat::kFloat16),
                    static_cast<int64_t>(LatentFormat::kBFloat16),
                    static_cast<int64_t>(LatentFormat::kFloat32)}});

void TokenWindow(benchmark::State& state) {
  const Scratch scratch;
  TokenReader reader(BuildCache(scratch, kShards, WriteTokens));
  std::vector<uint32_t> out(kChunkSize * static_cast<size_t>(state.range(0)));
  RandomWindows at(out.size(), kChunkSize * kChunksPerShard);
  for (auto _ : state) {
    HALCYON_CHECK(reader.Read(at.shard(), Split::kTrain, at.first(), out).ok());
    at.Next();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(out.size()));
}
BENCHMARK(TokenWindow)->ArgName("chunks")->Arg(64)->Arg(2048);

// From a file to its commit, with every check on the way.
void Ingest(benchmark::State& state) {
  const Scratch scratch;
  const std::string dataset(64, 'a');
  const auto builder = OpenBuilder(scratch, dataset);
  uint32_t shard = 0;
  int64_t bytes = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const SstFile file = WriteLatents(ShardPath(scratch, shard), dataset, shard);
    state.ResumeTiming();
    Must(builder->Ingest({{file, shard++, 0}}).at(0));
    bytes += static_cast<int64_t>(file.bytes);
  }
  state.SetBytesProcessed(bytes);
}
BENCHMARK(Ingest)->Unit(benchmark::kMillisecond)->Iterations(20);

// From files taken in to the generation: merged into files of 256 MiB, or (1) linked as they are,
// as all were before they were merged.
void Publish(benchmark::State& state) {
  constexpr uint32_t kPublishedShards = 128;  // 1 GiB
  const Scratch scratch;
  const std::string dataset(64, 'a');
  int64_t bytes = 0;
  for (auto _ : state) {
    state.PauseTiming();
    std::filesystem::remove_all(scratch.Path("build"));
    std::filesystem::remove_all(scratch.Path("generation"));
    const auto builder =
        OpenBuilder(scratch, dataset, {.merged_bytes = static_cast<uint64_t>(state.range(0))});
    for (uint32_t shard = 0; shard < kPublishedShards; ++shard) {
      const SstFile file = WriteLatents(ShardPath(scratch, shard), dataset, shard);
      Must(builder->Ingest({{file, shard, 0}}).at(0));
    }
    state.ResumeTiming();
    bytes += static_cast<int64_t>(
        Must(builder->Publish(scratch.Path("generation"), kPublishedShards)).bytes);
  }
  state.SetBytesProcessed(bytes);
}
BENCHMARK(Publish)
    ->ArgName("merged_bytes")
    ->Arg(kMergedFileBytes)
    ->Arg(1)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);

SstFile WriteDocument(const std::string& path, const std::string& dataset, uint32_t shard) {
  TokenShardWriter writer(path, dataset, shard, 0, kVocabSize);
  writer.AddDocument(Split::kTrain, std::vector<uint32_t>{shard % kVocabSize, 1, 2});
  return Must(writer.Finish({}));
}

// As many results as wait at most for a coordinator's commits.
constexpr uint32_t kCommitsTogether = 64;

// Takes in all shards, each of one document; returns the milliseconds without those of making them.
int64_t IngestDocuments(const Scratch& scratch, const std::string& dataset, uint32_t shards,
                        CacheBuilder& builder) {
  int64_t ingesting_ms = 0;
  for (uint32_t first = 0; first < shards; first += kCommitsTogether) {
    std::vector<ShardResult> results;
    for (uint32_t shard = first; shard < std::min(first + kCommitsTogether, shards); ++shard) {
      results.push_back({WriteDocument(ShardPath(scratch, shard), dataset, shard), shard, 0});
    }
    const int64_t began_ms = Clock::Real()->MonotonicMs();
    for (const auto& answer : builder.Ingest(results)) HALCYON_CHECK(answer.ok());
    HALCYON_CHECK(!Must(builder.MergeSome()));
    ingesting_ms += Clock::Real()->MonotonicMs() - began_ms;
  }
  return ingesting_ms;
}

// What a coordinator that starts again needs to know which tasks are done; also how many small
// shards it has taken in a second before, and how long they take to be published as one file.
void Reopen(benchmark::State& state) {
  const Scratch scratch;
  const std::string dataset(64, 'a');
  const auto shards = static_cast<uint32_t>(state.range(0));
  const int64_t ingesting_ms =
      IngestDocuments(scratch, dataset, shards, *OpenBuilder(scratch, dataset));
  for (auto _ : state) {
    HALCYON_CHECK(OpenBuilder(scratch, dataset)->Committed().size() == shards);
  }
  state.counters["ingested_a_second"] = 1000.0 * shards / static_cast<double>(ingesting_ms);
  const int64_t began_ms = Clock::Real()->MonotonicMs();
  Must(OpenBuilder(scratch, dataset)->Publish(scratch.Path("generation"), shards));
  state.counters["publish_ms"] = static_cast<double>(Clock::Real()->MonotonicMs() - began_ms);
}
BENCHMARK(Reopen)->ArgName("shards")->Arg(1'000)->Arg(10'000)->Arg(100'000)->Iterations(3)->Unit(
    benchmark::kMillisecond);

// Each is on the disk when the call returns.
void JournalAppend(benchmark::State& state) {
  const Scratch scratch;
  std::vector<std::string> notes;
  const auto journal = Must(JobJournal::Begin(*Env::Posix(), scratch.Path("journal"), 1, &notes));
  const LocatedProcess record = LocatedProcess::OfThisMachine({1, 2});
  for (auto _ : state) HALCYON_CHECK(journal->PutProcess("agent-0", record).ok());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(JournalAppend)->UseRealTime();

}  // namespace
}  // namespace halcyon::storage
