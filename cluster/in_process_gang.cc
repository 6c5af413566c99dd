#include "cluster/in_process_gang.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <exception>
#include <thread>

#include "base/check.h"
#include "base/mutex.h"
#include "cluster/collective_queue.h"

namespace halcyon::cluster {
namespace {

constexpr int64_t kCheckMs = 10;

// What the ranks of a group share. An exchange: each rank publishes a view of its bytes, all pass
// a barrier, each reads what the others published, all pass a second barrier; then the bytes may
// change.
class Exchange {
 public:
  explicit Exchange(int ranks) : views_(ranks) {}

  int ranks() const { return static_cast<int>(views_.size()); }

  void Publish(int rank, std::string_view bytes) { views_[rank] = bytes; }
  std::string_view bytes_of(int rank) const { return views_[rank]; }

  // kUnavailable when a rank has ended: the others would wait for ever. Asks `check` while it
  // waits.
  absl::Status Barrier(const WaitCheck& check) {
    const MutexLock lock(&mutex_);
    const uint64_t barrier = barriers_;
    if (++waiting_ == ranks()) {
      waiting_ = 0;
      ++barriers_;
      changed_.NotifyAll();
      return absl::OkStatus();
    }
    const auto ended = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return barriers_ != barrier || rank_ended_;
    };
    while (!changed_.WaitFor(&mutex_, kCheckMs, ended)) RETURN_IF_ERROR(check());
    return barriers_ != barrier ? absl::OkStatus()
                                : Unavailable("another rank of the gang has ended");
  }

  void EndRank() {
    const MutexLock lock(&mutex_);
    rank_ended_ = true;
    changed_.NotifyAll();
  }

 private:
  std::vector<std::string_view> views_;  // each written by its rank, read by all between barriers
  Mutex mutex_;
  ConditionVariable changed_;
  uint64_t barriers_ ABSL_GUARDED_BY(mutex_) = 0;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  bool rank_ended_ ABSL_GUARDED_BY(mutex_) = false;
};

class InProcessGroup : public HostGroup {
 public:
  InProcessGroup(int rank, Exchange* exchange) : rank_(rank), exchange_(exchange) {}

  int rank() const override { return rank_; }
  int size() const override { return exchange_->ranks(); }

  absl::Status AllGather(ConstBuffer in, Buffer out) override {
    return AfterPublishing({static_cast<const char*>(in.data), in.bytes()}, [&](int rank) {
      const std::string_view bytes = PublishedBy(rank, in.bytes());
      if (!bytes.empty()) {
        std::memcpy(static_cast<char*>(out.data) + rank * in.bytes(), bytes.data(), bytes.size());
      }
    });
  }

  absl::Status ReduceScatterSum(ConstBuffer in, std::span<float> out) override {
    return AfterPublishing({static_cast<const char*>(in.data), in.bytes()}, [&](int rank) {
      const size_t part_bytes = out.size() * BytesOf(in.type);
      const char* part = PublishedBy(rank, in.bytes()).data() + rank_ * part_bytes;
      AddPart({part, out.size(), in.type, Device{}}, rank == 0, out);
    });
  }

  absl::Status AllReduceSum(std::span<double> values) override {
    const std::vector<double> in(values.begin(), values.end());
    const std::string_view own(reinterpret_cast<const char*>(in.data()), values.size_bytes());
    return AfterPublishing(own, [&](int rank) {
      const auto* part =
          reinterpret_cast<const double*>(PublishedBy(rank, values.size_bytes()).data());
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = rank == 0 ? part[i] : values[i] + part[i];
      }
    });
  }

  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override {
    std::vector<std::string> all;
    RETURN_IF_ERROR(
        AfterPublishing(bytes, [&](int rank) { all.emplace_back(exchange_->bytes_of(rank)); }));
    return all;
  }

  absl::Status Barrier() override {
    return exchange_->Barrier([this] { return CheckWait(); });
  }

 private:
  // Publishes this rank's bytes, then calls `read(rank)` for each rank in order while nobody's
  // bytes change.
  template <typename Read>
  absl::Status AfterPublishing(std::string_view bytes, Read read) {
    exchange_->Publish(rank_, bytes);
    RETURN_IF_ERROR(Barrier());
    for (int rank = 0; rank < size(); ++rank) read(rank);
    return Barrier();
  }

  std::string_view PublishedBy(int rank, size_t size) const {
    const std::string_view bytes = exchange_->bytes_of(rank);
    HALCYON_CHECK(bytes.size() == size);
    return bytes;
  }

  const int rank_;
  Exchange* const exchange_;
};

// The exchanges of a gang: one of all ranks, one a node, one for each place in a node.
class ThreadGang {
 public:
  ThreadGang(int ranks, int ranks_per_node) : ranks_per_node_(ranks_per_node), all_(ranks) {
    for (int first = 0; first < ranks; first += ranks_per_node) {
      nodes_.emplace_back(std::min(ranks_per_node, ranks - first));
    }
    if (ranks % ranks_per_node != 0) return;
    for (int place = 0; place < ranks_per_node; ++place) {
      places_.emplace_back(static_cast<int>(nodes_.size()));
    }
  }

  HostGroups GroupsOf(int rank) {
    const int node = rank / ranks_per_node_, place = rank % ranks_per_node_;
    HostGroups groups;
    groups.all = std::make_unique<InProcessGroup>(rank, &all_);
    groups.node = std::make_unique<InProcessGroup>(place, &nodes_[node]);
    if (!places_.empty()) {
      groups.across_nodes = std::make_unique<InProcessGroup>(node, &places_[place]);
    }
    return groups;
  }

  void EndRank(int rank) {
    all_.EndRank();
    nodes_[rank / ranks_per_node_].EndRank();
    if (!places_.empty()) places_[rank % ranks_per_node_].EndRank();
  }

 private:
  const int ranks_per_node_;
  Exchange all_;
  std::deque<Exchange> nodes_, places_;
};

std::exception_ptr RunRank(ThreadGang& gang, int rank,
                           const std::function<void(Collectives&)>& main,
                           const QueueOptions& options) {
  std::exception_ptr thrown;
  {
    auto collectives = CollectiveQueue::Start(
        [&] { return absl::StatusOr<HostGroups>(gang.GroupsOf(rank)); }, options);
    HALCYON_CHECK(collectives.ok());
    try {
      main(**collectives);
    } catch (...) {
      thrown = std::current_exception();
      // Before the queue ends: what it has started may wait for collectives that never come.
      gang.EndRank(rank);
    }
  }
  gang.EndRank(rank);
  return thrown;
}

}  // namespace

void RunInProcessGang(int ranks, const std::function<void(Collectives&)>& rank_main,
                      int ranks_per_node, const QueueOptions& options) {
  HALCYON_CHECK(ranks >= 1 && ranks_per_node >= 0);
  ThreadGang gang(ranks, ranks_per_node == 0 ? ranks : std::min(ranks, ranks_per_node));
  std::vector<std::exception_ptr> thrown(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] { thrown[rank] = RunRank(gang, rank, rank_main, options); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
}

}  // namespace halcyon::cluster
