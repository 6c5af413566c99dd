// The messages of many workers through a real coordinator's channel: `message_load_bench [PEERS
// [MESSAGES]]` has each of the peers (200), a worker's real end with its thread and its ZeroMQ
// connection, send that many (2,000) results of tasks, and the coordinator answer each with a
// lease; first over ipc, then over TCP with CURVE on loopback. Prints messages a second and
// processor time a message, of all peers and the coordinator together, and ends with an error when
// a message of either direction is lost, comes twice or out of order.
#include <sys/resource.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/open_files.h"
#include "cluster/coordinator_link.h"
#include "cluster/transport.h"
#include "coordinator/worker_channel.h"

namespace halcyon {
namespace {

constexpr size_t kThreads = 2;
// Results that a peer has under way.
constexpr uint64_t kWindow = 16;
const JobId kJob("load");
const Incarnation kIncarnation(1);

int64_t ProcessorUs() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& time) { return time.tv_sec * 1'000'000 + time.tv_usec; };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

// An agent that has a result for each lease as soon as it comes.
class Peer {
 public:
  Peer(const cluster::ClientOptions& options, uint64_t results) : results_(results) {
    auto transport = cluster::ConnectZmq(options);
    HALCYON_CHECK(transport.ok());
    link_ = cluster::CoordinatorLink::StartWith(
        *std::move(transport),
        {.identity = {kJob, options.self, kIncarnation},
         .on_lost = [] { HALCYON_CHECK(!"a peer has lost the coordinator"); }},
        [](Incarnation) { return std::nullopt; }, Clock::Real());
  }
  bool is_done() const { return leases_ == results_; }

  void Turn() {
    while (sent_ < results_ && sent_ < leases_ + kWindow) {
      HALCYON_CHECK(link_->Send(cluster::TaskDone{"tokens/7", ++sent_, {}}).ok());
    }
    while (const std::optional<cluster::Message> message = link_->Receive(0)) {
      HALCYON_CHECK(std::get<cluster::Lease>(message->body).fence == ++leases_);
    }
  }

 private:
  const uint64_t results_;
  std::unique_ptr<cluster::CoordinatorLink> link_;
  uint64_t sent_ = 0, leases_ = 0;
};

using Peers = std::vector<std::unique_ptr<Peer>>;

// Drives every kThreads-th peer to its end.
void RunPeers(const Peers& peers, size_t first) {
  bool all_done = false;
  while (!all_done) {
    all_done = true;
    for (size_t i = first; i < peers.size(); i += kThreads) {
      peers[i]->Turn();
      all_done = all_done && peers[i]->is_done();
    }
    Clock::Real()->SleepMs(1);
  }
}

// Answers so many results.
void Serve(uint64_t total, coordinator::WorkerChannel* channel) {
  std::map<WorkerId, uint64_t> last;
  for (uint64_t taken = 0; taken < total;) {
    const auto message = channel->Next(1000);
    HALCYON_CHECK(message.ok() && channel->Suspects().empty());
    if (!message->has_value()) continue;
    const cluster::Message& result = **message;
    const uint64_t fence = std::get<cluster::TaskDone>(result.body).fence;
    HALCYON_CHECK(fence == ++last[result.worker]);
    HALCYON_CHECK(channel->Send(result.worker, cluster::Lease{"tokens/7", fence, {}, {}}).ok());
    ++taken;
  }
}

void Measure(const char* name, const cluster::ServerOptions& options, size_t peer_count,
             uint64_t results) {
  const auto server = cluster::BindZmq(options);
  HALCYON_CHECK(server.ok());
  coordinator::WorkerChannel channel(server->get(), Clock::Real(), kJob, kIncarnation);
  channel.StartThread();
  Peers peers;
  for (size_t i = 0; i < peer_count; ++i) {
    cluster::ClientOptions client;
    client.endpoint = (*server)->endpoint();
    client.self = {"agent-" + std::to_string(i), 1};
    client.incarnation = kIncarnation;
    if (options.keys) {
      client.server_key = options.keys->server.public_key;
      client.keys = options.keys->worker;
    }
    peers.push_back(std::make_unique<Peer>(client, results));
  }
  const int64_t began_ms = Clock::Real()->MonotonicMs(), began_us = ProcessorUs();
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < kThreads; ++i) threads.emplace_back([&peers, i] { RunPeers(peers, i); });
  const uint64_t total = peer_count * results;
  Serve(total, &channel);
  threads.clear();
  const int64_t ms = Clock::Real()->MonotonicMs() - began_ms, us = ProcessorUs() - began_us;
  std::printf(
      "%-10s %zu peers, %llu results and as many leases, none lost: %.0f messages/s, %.1f us of "
      "processor each\n",
      name, peer_count, static_cast<unsigned long long>(total),
      2000.0 * static_cast<double>(total) / static_cast<double>(ms),
      static_cast<double>(us) / static_cast<double>(2 * total));
}

}  // namespace
}  // namespace halcyon

int main(int argc, char** argv) {
  using namespace halcyon;
  RaiseOpenFilesLimit();
  const size_t peers = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200;
  const uint64_t messages = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 2000;
  char folder[] = "/tmp/message_load_XXXXXX";
  HALCYON_CHECK(mkdtemp(folder) != nullptr);
  const auto keys = cluster::MakeCurveKeys();
  HALCYON_CHECK(keys.ok());
  const std::string socket = std::string("ipc://") + folder + "/socket";
  Measure("ipc", {.endpoint = socket, .keys = std::nullopt}, peers, messages);
  Measure("tcp+CURVE", {.endpoint = "tcp://127.0.0.1:*", .keys = *keys}, peers, messages);
  return Env::Posix()->RemoveTree(folder).ok() ? 0 : 1;
}
