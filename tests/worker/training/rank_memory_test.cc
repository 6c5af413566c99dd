// How much memory a rank needs besides its shards: units are whole one at a time, from the first
// value drawn to the last one written. Counts every allocation of the process: those of C++ through
// operator new, those of tensors through LibTorch's allocator.
#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <memory>
#include <new>
#include <optional>

#include "base/env.h"
#include "cluster/in_process_gang.h"
#include "tests/testing/temp_dir.h"
#include "worker/inputs/network_file.h"
#include "worker/training/checkpointing.h"
#include "worker/training/gathered_network.h"

namespace {

struct Allocations {
  std::atomic<int64_t> live = 0, peak = 0, largest = 0;

  void Add(void* memory) {
    const auto bytes = static_cast<int64_t>(malloc_usable_size(memory));
    const int64_t now = live += bytes;
    for (int64_t seen = peak; now > seen && !peak.compare_exchange_weak(seen, now);) {
    }
    for (int64_t seen = largest; bytes > seen && !largest.compare_exchange_weak(seen, bytes);) {
    }
  }
  void Remove(void* memory) { live -= static_cast<int64_t>(malloc_usable_size(memory)); }
};
Allocations allocations;

void* Allocate(size_t bytes) {
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  allocations.Add(memory);
  return memory;
}

void Free(void* memory) {
  if (memory == nullptr) return;
  allocations.Remove(memory);
  std::free(memory);
}

class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* memory = nullptr;
    if (posix_memalign(&memory, 64, bytes == 0 ? 1 : bytes) != 0) throw std::bad_alloc();
    allocations.Add(memory);
    return {memory, memory, &Free, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

}  // namespace

[[gnu::noinline]] void* operator new(size_t bytes) { return Allocate(bytes); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { Free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { Free(memory); }

namespace halcyon::worker {
namespace {

constexpr int kRanks = 2;
constexpr int kUnits = 16;
constexpr int64_t kTensorsOfUnit = 2, kRows = 256, kWidth = 512;
constexpr int64_t kUnitBytes = kTensorsOfUnit * kRows * kWidth * sizeof(float);  // 1 MiB
// Headers, buffers of the file system, messages of the ranks.
constexpr int64_t kSmall = kUnitBytes / 4;

// What is allocated while it lives: the most at a time beyond what there was, and the largest
// piece.
class Peak {
 public:
  Peak() : before_(allocations.live) {
    allocations.peak = before_;
    allocations.largest = 0;
  }
  int64_t bytes() const { return allocations.peak - before_; }
  int64_t largest() const { return allocations.largest; }

 private:
  const int64_t before_;
};

// Many equal units: the whole network is many times what a rank may hold.
struct Network {
  Network() {
    for (int u = 0; u < kUnits; ++u) {
      const std::string name = "blocks." + std::to_string(u);
      model::Unit& unit = units.emplace_back(name);
      for (int t = 0; t < kTensorsOfUnit; ++t) {
        unit.Add(name + ".weight" + std::to_string(t), {kRows, kWidth}, model::InitKind::kWeight);
      }
    }
  }
  std::vector<model::Unit*> pointers() {
    std::vector<model::Unit*> all;
    for (model::Unit& unit : units) all.push_back(&unit);
    return all;
  }
  std::deque<model::Unit> units;
};

class RankMemoryTest : public ::testing::Test {
 protected:
  // Only here: an allocator is for the whole process.
  static void SetUpTestSuite() { c10::SetCPUAllocator(&allocator_, /*priority=*/1); }

  // All ranks together, between two barriers.
  template <typename Body>
  static void ExpectAtMost(cluster::Collectives& collectives, int64_t of_a_rank, int64_t largest,
                           const char* what, const Body& body) {
    static std::optional<Peak> peak;
    ASSERT_TRUE(collectives.Barrier().ok());
    if (collectives.rank() == 0) peak.emplace();
    ASSERT_TRUE(collectives.Barrier().ok());
    body();
    ASSERT_TRUE(collectives.Barrier().ok());
    if (collectives.rank() == 0) {
      EXPECT_LE(peak->bytes(), kRanks * of_a_rank + kSmall) << what;
      EXPECT_LE(peak->largest(), largest + kSmall) << what;
      RecordProperty(what, std::to_string(peak->bytes()));
    }
    ASSERT_TRUE(collectives.Barrier().ok());
  }

  static CountingAllocator allocator_;
  Env& env_ = *Env::Posix();
  testing::TempDir dir_;
};

CountingAllocator RankMemoryTest::allocator_;

TEST_F(RankMemoryTest, NoRankHoldsMoreThanAUnitBesideItsShards) {
  storage::CheckpointManifest manifest;
  manifest.step = 3;
  manifest.claim = 1;
  manifest.stage = "model";
  manifest.fingerprint.assign(64, 'a');
  ASSERT_TRUE(env_.CreateDirs(dir_.Path("checkpoints")).ok());
  ASSERT_TRUE(storage::CheckpointStore(env_, dir_.Path("checkpoints")).Fence({1}).ok());
  cluster::RunInProcessGang(kRanks, [&](cluster::Collectives& collectives) {
    Network network;
    std::unique_ptr<Fsdp> fsdp;
    // A unit has four arrays and the marks of weight decay, which begin pages of their own.
    constexpr int64_t kShards = kUnits * (4 * kUnitBytes + kUnitBytes / 4) / kRanks;
    constexpr int64_t kPages = kUnits * 5 * 4096;
    ExpectAtMost(collectives, kShards + kPages + kUnitBytes, kUnitBytes, "made",
                 [&] { fsdp = std::make_unique<Fsdp>(network.pointers(), &collectives); });
    ExpectAtMost(collectives, kUnitBytes, kUnitBytes / kRanks, "initialised",
                 [&] { fsdp->Initialise(jobs::InitRule::kFanIn, 0.5, 4); });
    storage::CheckpointStore store(env_, dir_.Path("checkpoints"));
    ASSERT_TRUE(store.Fence({1}).ok());
    ExpectAtMost(collectives, kUnitBytes, kUnitBytes / kRanks, "saved", [&] {
      const absl::Status saved = SaveCheckpoint(store, *fsdp, collectives, manifest, 2);
      ASSERT_TRUE(saved.ok()) << saved;
    });
    // Rank 0 compares the checkpoint's checksums in pieces of 8 MiB.
    ExpectAtMost(collectives, 4 * kUnitBytes, 8 * kUnitBytes, "resumed", [&] {
      const auto resumed = RestoreCheckpoint(store, *fsdp, collectives, manifest.fingerprint);
      ASSERT_TRUE(resumed.ok()) << resumed.status();
      ASSERT_EQ(resumed->step, 3u);
    });
    for (const uint64_t shard_bytes_max : {storage::kShardBytesMax, uint64_t{3 * kUnitBytes}}) {
      const NetworkOutput output{.dir = dir_.Path("network"),
                                 .metadata = {{"kind", "x"}},
                                 .spec_toml = "x",
                                 .shard_bytes_max = shard_bytes_max};
      ExpectAtMost(collectives, kUnitBytes, kUnitBytes, "finished", [&] {
        const auto written = WriteNetwork(*fsdp, collectives, env_, output);
        ASSERT_TRUE(written.ok()) << written.status();
      });
    }
  });
  // A single process that needs the whole network has its parameters once.
  Network network;
  const Peak peak;
  ASSERT_TRUE(ReadNetwork(env_, dir_.Path("network"), network.pointers()).ok());
  EXPECT_LE(peak.bytes(), (kUnits + 1) * kUnitBytes + kSmall);
}

}  // namespace
}  // namespace halcyon::worker
