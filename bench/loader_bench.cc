// What a rank waits for its windows when the cache is larger than the memory:
// `loader_bench [GIGABYTES [BATCH [STEP_MS]]]` makes tokens and latents (K = 4, 128 elements) of
// GIGABYTES (1) on the disk that TMPDIR names, drops them from the page cache, and has a feeder, as
// a rank has it, load windows of 64 chunks at random, BATCH (8) a step. First without computing
// anything, which says how fast windows come; then with a step that takes STEP_MS (100), of which
// the rank's wait is shown.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/philox.h"
#include "bench/disk_meter.h"
#include "bench/scratch_cache.h"
#include "pipeline/samples/mixture_order.h"
#include "pipeline/samples/packing.h"
#include "pipeline/samples/window_loader.h"
#include "storage/latent_cache.h"
#include "storage/token_cache.h"
#include "worker/inputs/window_tensors.h"
#include "worker/training/batch_feeder.h"

namespace halcyon::worker {
namespace {

using pipeline::Split;
using storage::BuildCache;
using storage::Must;
using storage::Scratch;

constexpr uint32_t kVocabSize = 128'256, kLatentSize = 128, kWindowChunks = 64;
constexpr pipeline::PackingRule kRule{.chunk_size = 4, .end_of_text = 1, .padding = 2};
constexpr uint64_t kDocuments = 2000, kDocumentTokens = 500;  // of a shard
constexpr uint64_t kShardBytes =
    kDocuments * kDocumentTokens * (4 + 4 * uint64_t{kLatentSize} / kRule.chunk_size);
constexpr uint64_t kFlatOutSteps = 500, kPacedSteps = 100;

storage::SstFile WriteTokens(const std::string& path, const std::string& dataset, uint32_t shard) {
  storage::TokenShardWriter writer(path, dataset, shard, 0, kVocabSize);
  const PhiloxStream stream(1, NoiseStream::kEvaluation, 0, shard);
  std::vector<uint32_t> text(kDocumentTokens);
  for (uint64_t i = 0; i < kDocuments; ++i) {
    for (size_t j = 0; j < text.size(); ++j) {
      text[j] = static_cast<uint32_t>(stream.Below(i * text.size() + j, kVocabSize));
    }
    writer.AddDocument(Split::kTrain, text);
  }
  return Must(writer.Finish({}));
}

class LoaderBench {
 public:
  LoaderBench(uint32_t shards, uint64_t batch) : batch_(batch) {
    BuildCache(tokens_scratch_, shards, WriteTokens);
    tokens_ = std::make_unique<storage::TokenReader>(Open(tokens_scratch_));
    packing_ = Must(pipeline::Packing::Build(tokens_.get(), kRule));
    BuildCache(latents_scratch_, shards,
               [&](const std::string& path, const std::string& dataset, uint32_t shard) {
                 return WriteLatents(path, dataset, shard);
               });
    latents_ = std::make_unique<storage::LatentReader>(Open(latents_scratch_), kLatentSize);
    loader_ =
        std::make_unique<pipeline::WindowLoader>(packing_.get(), latents_.get(), kWindowChunks);
  }

  uint64_t windows() const { return loader_->Windows(Split::kTrain); }
  void DropPages() const {
    bench::DropPages(tokens_scratch_.Path("generation"));
    bench::DropPages(latents_scratch_.Path("generation"));
  }

  // Prints one line. Each run has windows of its own.
  void Run(const char* name, uint64_t steps, int64_t step_ms) {
    const pipeline::MixtureOrder order(++seed_, {{.items = windows()}});
    const auto plan = [&](uint64_t step) { return PlanBatch({.batch = batch_}, order, step); };
    const auto load = [&](const MicroBatch& pass) -> absl::StatusOr<BatchTensors> {
      const WindowTensors data = Must(LoadWindows(*loader_, Split::kTrain, pass.items, false));
      return BatchTensors{data.tokens, data.posterior};
    };
    const uint64_t read_before = bench::DiskBytesRead();
    const int64_t began_us = Clock::Real()->MonotonicUs();
    BatchFeeder feeder(0, steps, plan, load);
    HALCYON_CHECK(feeder.Next().ok());
    feeder.TakeWaitedUs();  // the first one is waited for whole
    const int64_t first_us = Clock::Real()->MonotonicUs();
    for (uint64_t step = 1; step < steps; ++step) {
      Clock::Real()->SleepMs(step_ms);
      HALCYON_CHECK(feeder.Next().ok());
    }
    const double seconds = static_cast<double>(Clock::Real()->MonotonicUs() - first_us) / 1e6;
    const double all_seconds = static_cast<double>(Clock::Real()->MonotonicUs() - began_us) / 1e6;
    const auto read = static_cast<double>(bench::DiskBytesRead() - read_before);
    std::printf("%s: %.0f windows/s, %.0f MB/s from the disk, waits %.2f %% of a step of %.1f ms\n",
                name, static_cast<double>(batch_ * steps) / all_seconds, read / 1e6 / all_seconds,
                100 * static_cast<double>(feeder.TakeWaitedUs()) / 1e6 / seconds,
                1e3 * seconds / static_cast<double>(steps - 1));
    std::fflush(stdout);
  }

 private:
  static std::unique_ptr<storage::CacheReader> Open(const Scratch& scratch) {
    return Must(storage::CacheReader::Open(scratch.Path("generation"), ""));
  }
  storage::SstFile WriteLatents(const std::string& path, const std::string& dataset,
                                uint32_t shard) const {
    auto writer = Must(storage::LatentShardWriter::Create(path, dataset, shard, 0, kLatentSize,
                                                          jobs::LatentFormat::kFloat16));
    std::vector<float> rows(16 * 2 * kLatentSize);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>((i + shard) % 1024) / 512;
    const size_t width = 2 * kLatentSize;
    for (uint64_t left = packing_->ChunksOfShard(shard, Split::kTrain); left > 0;) {
      const uint64_t count = std::min<uint64_t>(left, rows.size() / width);
      HALCYON_CHECK(writer->Append(Split::kTrain, std::span(rows).first(count * width)).ok());
      left -= count;
    }
    return Must(writer->Finish());
  }

  const uint64_t batch_;
  const Scratch tokens_scratch_, latents_scratch_;
  std::unique_ptr<storage::TokenReader> tokens_;
  std::unique_ptr<pipeline::Packing> packing_;
  std::unique_ptr<storage::LatentReader> latents_;
  std::unique_ptr<pipeline::WindowLoader> loader_;
  uint64_t seed_ = 0;
};

int Main(int argc, char** argv) {
  const auto number = [&](int place, uint64_t otherwise) {
    return argc > place ? std::strtoull(argv[place], nullptr, 10) : otherwise;
  };
  const uint64_t bytes = number(1, 1) * 1'000'000'000, batch = number(2, 8);
  const int64_t step_ms = static_cast<int64_t>(number(3, 100));
  const auto shards = static_cast<uint32_t>(std::max<uint64_t>(1, bytes / kShardBytes));
  std::printf("%.1f GB in %u shards, %llu windows of %u chunks a step\n",
              static_cast<double>(shards * kShardBytes) / 1e9, shards,
              static_cast<unsigned long long>(batch), kWindowChunks);
  LoaderBench bench(shards, batch);
  bench.DropPages();
  bench.Run("nothing computed", kFlatOutSteps, 0);
  bench.Run("with a step to compute", kPacedSteps, step_ms);
  return 0;
}

}  // namespace
}  // namespace halcyon::worker

int main(int argc, char** argv) { return halcyon::worker::Main(argc, argv); }
