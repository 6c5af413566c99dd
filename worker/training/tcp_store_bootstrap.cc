#include "worker/training/tcp_store_bootstrap.h"

#include <fmt/format.h>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace halcyon::worker {
namespace {

constexpr int64_t kRetryMs = 200;
constexpr size_t kRanksNamedMax = 8;

std::vector<uint8_t> BytesOf(const std::string& text) { return {text.begin(), text.end()}; }

class TcpStoreBootstrap final : public cluster::Bootstrap {
 public:
  TcpStoreBootstrap(cluster::ExternalWorld world, const std::string& launch, int64_t timeout_ms)
      : world_(std::move(world)),
        prefix_("halcyon/" + launch + "/"),
        own_(std::to_string(world_.rank) + ":"),
        timeout_ms_(timeout_ms) {}

  absl::Status Put(std::string_view name, std::string_view value) override {
    put_.emplace_back(name, own_ + std::string(value));
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Get(std::string_view name) override {
    const std::string key = ValueKey(std::string(name));
    try {
      if (store_ == nullptr || !store_->check({key})) {
        return NotFound("no rank has put \"" + std::string(name) + "\" before the last barrier");
      }
      const std::vector<uint8_t> bytes = store_->get(key);
      const std::string value(bytes.begin(), bytes.end());
      return value.substr(value.find(':') + 1);
    } catch (const std::exception& error) {
      return Unavailable(StoreName() + ": " + error.what());
    }
  }

  // A store may be that of an earlier launch, whose rank 0 is just ending: what was put is put
  // again into the next one.
  absl::Status Barrier() override {
    ++barriers_;
    deadline_ms_ = Clock::Real()->MonotonicMs() + timeout_ms_;
    while (true) {
      std::string why;
      try {
        Connect();
        RETURN_IF_ERROR(PutAll());
        store_->set(BarrierKey(world_.rank), std::vector<uint8_t>{1});
        store_->wait(BarrierKeys(), std::chrono::milliseconds(LeftMs()));
        return absl::OkStatus();
      } catch (const std::exception& error) {
        why = error.what();
      }
      if (LeftMs() <= kRetryMs) return NotAllCame(why);
      if (!serves()) store_.reset();
      Clock::Real()->SleepMs(kRetryMs);
    }
  }

 private:
  bool serves() const { return world_.rank == 0 && !world_.has_store; }
  std::string StoreName() const {
    return fmt::format("the store at {}:{}", world_.master_address, world_.master_port);
  }
  std::string ValueKey(const std::string& name) const { return prefix_ + "value/" + name; }
  std::string BarrierKey(int rank) const {
    return fmt::format("{}barrier/{}/{}", prefix_, barriers_, rank);
  }
  std::vector<std::string> BarrierKeys() const {
    std::vector<std::string> keys;
    for (int rank = 0; rank < world_.size; ++rank) keys.push_back(BarrierKey(rank));
    return keys;
  }
  int64_t LeftMs() const {
    return std::max<int64_t>(1, deadline_ms_ - Clock::Real()->MonotonicMs());
  }

  void Connect() {
    if (store_ != nullptr) return;
    c10d::TCPStoreOptions options;
    options.port = world_.master_port;
    options.isServer = serves();
    options.waitWorkers = false;
    options.timeout = std::chrono::milliseconds(LeftMs());
    store_ = c10::make_intrusive<c10d::TCPStore>(world_.master_address, options);
  }

  absl::Status PutAll() {
    for (const auto& [name, value] : put_) {
      if (store_->compareSet(ValueKey(name), {}, BytesOf(value)) != BytesOf(value)) {
        return AlreadyExists("\"" + name + "\" was put twice");
      }
    }
    return absl::OkStatus();
  }

  absl::Status NotAllCame(const std::string& why) {
    std::string missing;
    size_t count = 0;
    try {
      for (int rank = 0; store_ != nullptr && rank < world_.size; ++rank) {
        if (store_->check({BarrierKey(rank)})) continue;
        if (++count <= kRanksNamedMax) missing += (count > 1 ? ", " : "") + std::to_string(rank);
      }
    } catch (const std::exception&) {
      count = 0;
    }
    if (count > 0) {
      return Unavailable(fmt::format("{} of {} ranks have not come to {} within {} s: {}{}", count,
                                     world_.size, StoreName(), timeout_ms_ / 1000, missing,
                                     count > kRanksNamedMax ? ", ..." : ""));
    }
    return Unavailable(StoreName() + (serves() ? " cannot be served: " : " does not answer: ") +
                       why.substr(0, why.find('\n')));
  }

  const cluster::ExternalWorld world_;
  const std::string prefix_, own_;  // own_ precedes each value, so that no two ranks put the same
  const int64_t timeout_ms_;
  std::vector<std::pair<std::string, std::string>> put_;
  c10::intrusive_ptr<c10d::TCPStore> store_;
  int barriers_ = 0;
  int64_t deadline_ms_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<cluster::Bootstrap>> MakeTcpStoreBootstrap(
    const cluster::ExternalWorld& world, const std::string& launch, int64_t timeout_ms) {
  return std::make_unique<TcpStoreBootstrap>(world, launch, timeout_ms);
}

}  // namespace halcyon::worker
