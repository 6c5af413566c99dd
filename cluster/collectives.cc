#include "cluster/collectives.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "base/check.h"

namespace halcyon::cluster {
namespace {

// Where the threads of a gang meet. Each lays a view of its bytes on the table, all meet, each
// reads what the others laid down, all meet again; then the bytes may change.
class Table {
 public:
  explicit Table(int ranks) : views_(ranks) {}

  int ranks() const { return static_cast<int>(views_.size()); }

  void Lay(int rank, std::string_view bytes) { views_[rank] = bytes; }
  std::string_view bytes_of(int rank) const { return views_[rank]; }

  // kUnavailable when a rank has left for good: the others would wait for ever.
  absl::Status Meet() {
    std::unique_lock lock(mutex_);
    const uint64_t meeting = meetings_;
    if (++present_ == ranks()) {
      present_ = 0;
      ++meetings_;
      changed_.notify_all();
      return absl::OkStatus();
    }
    changed_.wait(lock, [&] { return meetings_ != meeting || left_; });
    return meetings_ != meeting ? absl::OkStatus()
                                : Unavailable("another rank of the gang has ended");
  }

  void Leave() {
    const std::lock_guard lock(mutex_);
    left_ = true;
    changed_.notify_all();
  }

 private:
  std::vector<std::string_view> views_;  // each written by its rank, read by all between meetings
  std::mutex mutex_;                     // guards the rest
  std::condition_variable changed_;
  uint64_t meetings_ = 0;
  int present_ = 0;
  bool left_ = false;
};

template <typename T>
std::string_view BytesOf(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

class InProcessCollectives : public Collectives {
 public:
  InProcessCollectives(int rank, Table* table) : rank_(rank), table_(table) {}

  int rank() const override { return rank_; }
  int size() const override { return table_->ranks(); }

  absl::Status AllGather(std::span<const float> in, std::span<float> out) override {
    HALCYON_CHECK(out.size() == in.size() * size());
    return Exchange(BytesOf(in), [&](int rank) {
      std::ranges::copy(Laid<float>(rank, in.size()), out.begin() + rank * in.size());
    });
  }

  absl::Status ReduceScatterSum(std::span<const float> in, std::span<float> out) override {
    HALCYON_CHECK(in.size() == out.size() * size());
    return Exchange(BytesOf(in), [&](int rank) {
      const auto part = Laid<float>(rank, in.size()).subspan(rank_ * out.size(), out.size());
      Accumulate<float>(rank, part, out);
    });
  }

  absl::Status AllReduceSum(std::span<double> values) override {
    const std::vector<double> in(values.begin(), values.end());
    return Exchange(BytesOf<double>(in), [&](int rank) {
      Accumulate<double>(rank, Laid<double>(rank, in.size()), values);
    });
  }

  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override {
    std::vector<std::string> all;
    RETURN_IF_ERROR(Exchange(bytes, [&](int rank) { all.emplace_back(table_->bytes_of(rank)); }));
    return all;
  }

  absl::Status Barrier() override { return table_->Meet(); }

 private:
  // Calls `read(rank)` for each rank in order, while what they laid down stands still.
  template <typename Read>
  absl::Status Exchange(std::string_view bytes, Read read) {
    table_->Lay(rank_, bytes);
    RETURN_IF_ERROR(table_->Meet());
    for (int rank = 0; rank < size(); ++rank) read(rank);
    return table_->Meet();
  }

  template <typename T>
  std::span<const T> Laid(int rank, size_t count) const {
    const std::string_view bytes = table_->bytes_of(rank);
    HALCYON_CHECK(bytes.size() == count * sizeof(T));
    return {reinterpret_cast<const T*>(bytes.data()), count};
  }

  template <typename T>
  static void Accumulate(int rank, std::span<const T> part, std::span<T> sum) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] = rank == 0 ? part[i] : sum[i] + part[i];
  }

  const int rank_;
  Table* const table_;
};

}  // namespace

void RunInProcessGang(int ranks, const std::function<void(Collectives&)>& rank_main) {
  HALCYON_CHECK(ranks >= 1);
  Table table(ranks);
  std::vector<std::exception_ptr> thrown(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&table, &thrown, &rank_main, rank] {
      InProcessCollectives collectives(rank, &table);
      try {
        rank_main(collectives);
      } catch (...) {
        thrown[rank] = std::current_exception();
      }
      table.Leave();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
}

}  // namespace halcyon::cluster
