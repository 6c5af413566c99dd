#include "cluster/in_memory_transport.h"

#include <spdlog/spdlog.h>

#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace halcyon::cluster {

// Encoded messages in transit. An inbox is a worker's, or the server's under nullopt.
class InMemoryNetwork::Hub {
 public:
  using Address = std::optional<WorkerId>;

  void Open(const Address& address) {
    const MutexLock lock(&mutex_);
    inboxes_[address];
  }
  void Close(const Address& address) {
    const MutexLock lock(&mutex_);
    inboxes_.erase(address);
  }

  void SetHook(std::function<Delivery(const Message&)> hook) {
    const MutexLock lock(&mutex_);
    hook_ = std::move(hook);
  }

  void Send(const Address& to, const Message& message) {
    const MutexLock lock(&mutex_);
    const Delivery delivery = hook_ ? hook_(message) : Delivery::kDeliver;
    if (delivery == Delivery::kHold) held_.emplace_back(to, Encode(message));
    if (delivery == Delivery::kDeliver) Deliver(to, Encode(message));
  }

  void ReleaseHeld() {
    const MutexLock lock(&mutex_);
    for (auto& [to, bytes] : std::exchange(held_, {})) Deliver(to, std::move(bytes));
  }

  std::optional<Message> Receive(const Address& at, int64_t timeout_ms) {
    const MutexLock lock(&mutex_);
    std::deque<std::string>& inbox = inboxes_[at];
    arrived_.WaitFor(&mutex_, timeout_ms, [&] { return !inbox.empty(); });
    if (inbox.empty()) return std::nullopt;
    absl::StatusOr<Message> message = Decode(inbox.front());
    inbox.pop_front();
    if (message.ok()) return *std::move(message);
    spdlog::warn("dropped: {}", MessageOf(message.status()));
    return std::nullopt;
  }

 private:
  void Deliver(const Address& to, std::string bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // The server's inbox exists before the server does; a worker's is removed with the worker.
    if (to.has_value() && !inboxes_.contains(to)) return;
    inboxes_[to].push_back(std::move(bytes));
    arrived_.NotifyAll();
  }

  Mutex mutex_;
  ConditionVariable arrived_;
  std::map<Address, std::deque<std::string>> inboxes_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<Address, std::string>> held_ ABSL_GUARDED_BY(mutex_);
  std::function<Delivery(const Message&)> hook_ ABSL_GUARDED_BY(mutex_);
};

class InMemoryNetwork::Server : public ServerTransport {
 public:
  explicit Server(std::shared_ptr<Hub> hub) : hub_(std::move(hub)) { hub_->Open(std::nullopt); }
  ~Server() override { hub_->Close(std::nullopt); }

  absl::Status Send(const Message& message) override {
    hub_->Send(message.worker, message);
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<Message>> Receive(int64_t timeout_ms) override {
    return hub_->Receive(std::nullopt, timeout_ms);
  }
  const std::string& endpoint() const override { return endpoint_; }

 private:
  std::shared_ptr<Hub> hub_;
  std::string endpoint_ = "memory";
};

class InMemoryNetwork::Client : public ClientTransport {
 public:
  Client(std::shared_ptr<Hub> hub, WorkerId self) : hub_(std::move(hub)), self_(std::move(self)) {
    hub_->Open(self_);
  }
  ~Client() override { hub_->Close(self_); }

  absl::Status Send(const Message& message) override {
    hub_->Send(std::nullopt, message);
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<Message>> Receive(int64_t timeout_ms) override {
    return hub_->Receive(self_, timeout_ms);
  }

 private:
  std::shared_ptr<Hub> hub_;
  WorkerId self_;
};

InMemoryNetwork::InMemoryNetwork() : hub_(std::make_shared<Hub>()) {}
InMemoryNetwork::~InMemoryNetwork() = default;

std::unique_ptr<ServerTransport> InMemoryNetwork::Bind() { return std::make_unique<Server>(hub_); }

std::unique_ptr<ClientTransport> InMemoryNetwork::Connect(const WorkerId& self) {
  return std::make_unique<Client>(hub_, self);
}

void InMemoryNetwork::SetHook(std::function<Delivery(const Message&)> hook) {
  hub_->SetHook(std::move(hook));
}

void InMemoryNetwork::ReleaseHeld() { hub_->ReleaseHeld(); }

}  // namespace halcyon::cluster
