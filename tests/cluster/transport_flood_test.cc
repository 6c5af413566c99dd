// Connections of peers that never prove a key do not keep workers out.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/open_files.h"
#include "cluster/transport.h"
#include "cluster/unproven_connections.h"

namespace halcyon::cluster {
namespace {

constexpr int64_t kPatienceMs = 20'000;
constexpr rlim_t kOpenFiles = 2048;
constexpr int kFlood = 3000;

const WorkerId kAgent{"agent-0", 1};

// The limit of open files of this process, while it lives.
class OpenFiles {
 public:
  explicit OpenFiles(rlim_t limit) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit lower = before_;
    lower.rlim_cur = limit;
    setrlimit(RLIMIT_NOFILE, &lower);
  }
  ~OpenFiles() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_;
};

// A process that holds kFlood connections over which nothing is said, and opens another one for
// each that is closed; it writes a byte to `ready` when it has opened the first ones. It is forked
// from a process with threads: system calls only.
[[noreturn]] void Flood(uint16_t port, int ready) {
  RaiseOpenFilesLimit();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto open = [&] {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      _exit(1);
    }
    return fd;
  };
  static pollfd connections[kFlood];
  for (pollfd& one : connections) one = {open(), POLLRDHUP, 0};
  if (write(ready, "x", 1) != 1) _exit(1);
  while (getppid() != 1) {
    poll(connections, kFlood, 100);
    for (pollfd& one : connections) {
      if ((one.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0) continue;
      close(one.fd);
      one.fd = open();
    }
  }
  _exit(0);
}

TEST(TransportFlood, ConnectionsWithoutAKeyDoNotKeepAWorkerOut) {
  const OpenFiles limit(kOpenFiles);
  const auto keys = MakeCurveKeys();
  ASSERT_TRUE(keys.ok());
  auto server = BindZmq({.endpoint = "tcp://127.0.0.1:*", .keys = *keys});
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string& endpoint = (*server)->endpoint();
  const int port = std::atoi(endpoint.substr(endpoint.rfind(':') + 1).c_str());
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t flood = fork();
  ASSERT_GE(flood, 0);
  if (flood == 0) Flood(static_cast<uint16_t>(port), ready[1]);
  const auto serve = [&] { return (*server)->Receive(10); };
  const bool flooded = Clock::Real()->WaitFor(
      [&] {
        serve().IgnoreError();
        pollfd one{ready[0], POLLIN, 0};
        return poll(&one, 1, 0) == 1;
      },
      kPatienceMs);
  EXPECT_TRUE(flooded);

  // A file can be opened, and a worker gets in and stays connected.
  const int file = dup(ready[0]);
  EXPECT_GE(file, 0);
  close(file);
  const auto client = ConnectZmq({.endpoint = endpoint,
                                  .self = kAgent,
                                  .incarnation = Incarnation(1),
                                  .server_key = keys->server.public_key,
                                  .keys = keys->worker});
  ASSERT_TRUE(client.ok()) << client.status();
  int heard = 0;
  EXPECT_TRUE(Clock::Real()->WaitFor(
      [&] {
        (*client)->Send({JobId("job"), kAgent, Incarnation(1), Alive{}}).IgnoreError();
        const auto message = serve();
        if (message.ok() && message->has_value()) ++heard;
        return heard == 20;
      },
      kPatienceMs))
      << heard << " messages came in";

  kill(flood, SIGKILL);
  int status = 0;
  waitpid(flood, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the flood could not go on";
  (*client)->Abandon();
}

}  // namespace
}  // namespace halcyon::cluster
