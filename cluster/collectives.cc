#include "cluster/collectives.h"

#include <algorithm>
#include <exception>
#include <thread>

#include "base/check.h"
#include "base/mutex.h"

namespace halcyon::cluster {
namespace {

// What the ranks of an in-process gang share. An exchange: each rank publishes a view of its bytes,
// all pass a barrier, each reads what the others published, all pass a second barrier; then the
// bytes may change.
class Exchange {
 public:
  explicit Exchange(int ranks) : views_(ranks) {}

  int ranks() const { return static_cast<int>(views_.size()); }

  void Publish(int rank, std::string_view bytes) { views_[rank] = bytes; }
  std::string_view bytes_of(int rank) const { return views_[rank]; }

  // kUnavailable when a rank has ended: the others would wait for ever.
  absl::Status Barrier() {
    const MutexLock lock(&mutex_);
    const uint64_t barrier = barriers_;
    if (++waiting_ == ranks()) {
      waiting_ = 0;
      ++barriers_;
      changed_.NotifyAll();
      return absl::OkStatus();
    }
    changed_.Wait(&mutex_, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return barriers_ != barrier || rank_ended_;
    });
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

template <typename T>
std::string_view BytesOf(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

class InProcessCollectives : public Collectives {
 public:
  InProcessCollectives(int rank, Exchange* exchange) : rank_(rank), exchange_(exchange) {}

  int rank() const override { return rank_; }
  int size() const override { return exchange_->ranks(); }

  absl::Status AllGather(std::span<const float> in, std::span<float> out) override {
    HALCYON_CHECK(out.size() == in.size() * size());
    return AfterPublishing(BytesOf(in), [&](int rank) {
      std::ranges::copy(PublishedBy<float>(rank, in.size()), out.begin() + rank * in.size());
    });
  }

  absl::Status ReduceScatterSum(std::span<const float> in, std::span<float> out) override {
    HALCYON_CHECK(in.size() == out.size() * size());
    return AfterPublishing(BytesOf(in), [&](int rank) {
      const auto part = PublishedBy<float>(rank, in.size()).subspan(rank_ * out.size(), out.size());
      Accumulate<float>(rank, part, out);
    });
  }

  absl::Status AllReduceSum(std::span<double> values) override {
    const std::vector<double> in(values.begin(), values.end());
    return AfterPublishing(BytesOf<double>(in), [&](int rank) {
      Accumulate<double>(rank, PublishedBy<double>(rank, in.size()), values);
    });
  }

  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override {
    std::vector<std::string> all;
    RETURN_IF_ERROR(
        AfterPublishing(bytes, [&](int rank) { all.emplace_back(exchange_->bytes_of(rank)); }));
    return all;
  }

  absl::Status Barrier() override { return exchange_->Barrier(); }

 private:
  // Publishes this rank's bytes, then calls `read(rank)` for each rank in order while nobody's
  // bytes change.
  template <typename Read>
  absl::Status AfterPublishing(std::string_view bytes, Read read) {
    exchange_->Publish(rank_, bytes);
    RETURN_IF_ERROR(exchange_->Barrier());
    for (int rank = 0; rank < size(); ++rank) read(rank);
    return exchange_->Barrier();
  }

  template <typename T>
  std::span<const T> PublishedBy(int rank, size_t count) const {
    const std::string_view bytes = exchange_->bytes_of(rank);
    HALCYON_CHECK(bytes.size() == count * sizeof(T));
    return {reinterpret_cast<const T*>(bytes.data()), count};
  }

  template <typename T>
  static void Accumulate(int rank, std::span<const T> part, std::span<T> sum) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] = rank == 0 ? part[i] : sum[i] + part[i];
  }

  const int rank_;
  Exchange* const exchange_;
};

}  // namespace

void RunInProcessGang(int ranks, const std::function<void(Collectives&)>& rank_main) {
  HALCYON_CHECK(ranks >= 1);
  Exchange exchange(ranks);
  std::vector<std::exception_ptr> thrown(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&exchange, &thrown, &rank_main, rank] {
      InProcessCollectives collectives(rank, &exchange);
      try {
        rank_main(collectives);
      } catch (...) {
        thrown[rank] = std::current_exception();
      }
      exchange.EndRank();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
}

}  // namespace halcyon::cluster
