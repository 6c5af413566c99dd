// Decides which peers may connect to a socket with CURVE: those with an allowed key. It is the
// other end of ZeroMQ's authentication protocol, https://rfc.zeromq.org/spec/27/.
#ifndef HALCYON_CLUSTER_ZAP_HANDLER_H_
#define HALCYON_CLUSTER_ZAP_HANDLER_H_

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace halcyon::cluster {

// The domain that the protected socket must name: without one ZeroMQ would ask nobody.
inline constexpr char kZapDomain[] = "halcyon";

// Not thread-safe: of the thread that uses the protected socket.
class ZapHandler {
 public:
  // Answers for all sockets of the ZeroMQ context. `allowed`: public keys, Z85.
  static absl::StatusOr<std::unique_ptr<ZapHandler>> Start(void* zmq_context,
                                                           std::vector<std::string> allowed);
  ~ZapHandler();
  ZapHandler(const ZapHandler&) = delete;
  ZapHandler& operator=(const ZapHandler&) = delete;

  // ZeroMQ's socket that becomes readable when a peer waits for an answer.
  void* socket() const { return socket_; }
  // Answers all that wait. Call often: a peer that gets no answer is not connected.
  void Serve();

 private:
  ZapHandler(void* socket, std::vector<std::string> allowed)
      : socket_(socket), allowed_(std::move(allowed)) {}
  // False when there is no request.
  bool ServeOne();

  void* socket_;
  std::vector<std::string> allowed_;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_ZAP_HANDLER_H_
