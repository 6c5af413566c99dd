#include "cluster/zap_handler.h"

#include <spdlog/spdlog.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/terminal_text.h"

namespace halcyon::cluster {
namespace {

constexpr char kZapEndpoint[] = "inproc://zeromq.zap.01";
constexpr size_t kZapKeyBytes = 32, kZapKeyCharacters = 40;
// Version, request id, domain, address, identity, mechanism, and for CURVE the key.
constexpr size_t kZapRequestParts = 7;

// The parts of a message that is there; empty when there is none.
std::vector<std::string> TakeParts(void* socket) {
  std::vector<std::string> parts;
  int more = 1;
  while (more != 0) {
    zmq_msg_t part;
    zmq_msg_init(&part);
    if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
      zmq_msg_close(&part);
      if (zmq_errno() == EINTR) continue;
      break;
    }
    parts.emplace_back(static_cast<const char*>(zmq_msg_data(&part)), zmq_msg_size(&part));
    more = zmq_msg_more(&part);
    zmq_msg_close(&part);
  }
  return parts;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ZapHandler>> ZapHandler::Start(void* zmq_context,
                                                              std::vector<std::string> allowed) {
  void* socket = zmq_socket(zmq_context, ZMQ_REP);
  if (socket == nullptr) return Internal(std::string("ZAP socket: ") + zmq_strerror(zmq_errno()));
  const int no_linger = 0;
  zmq_setsockopt(socket, ZMQ_LINGER, &no_linger, sizeof(no_linger));
  std::unique_ptr<ZapHandler> handler(new ZapHandler(socket, std::move(allowed)));
  if (zmq_bind(socket, kZapEndpoint) != 0) {
    return Internal(std::string("cannot bind ") + kZapEndpoint + ": " + zmq_strerror(zmq_errno()));
  }
  return handler;
}

ZapHandler::~ZapHandler() { zmq_close(socket_); }

void ZapHandler::Serve() {
  while (ServeOne()) continue;
}

bool ZapHandler::ServeOne() {
  const std::vector<std::string> request = TakeParts(socket_);
  if (request.empty()) return false;
  bool is_allowed = false;
  if (request.size() == kZapRequestParts && request[5] == "CURVE" &&
      request[6].size() == kZapKeyBytes) {
    char key[kZapKeyCharacters + 1];
    zmq_z85_encode(key, reinterpret_cast<const uint8_t*>(request[6].data()), kZapKeyBytes);
    is_allowed = std::find(allowed_.begin(), allowed_.end(), key) != allowed_.end();
  }
  if (!is_allowed) {
    spdlog::warn("refused a connection from {}: its key is not one of this job",
                 request.size() > 3 ? EscapeForTerminal(request[3]) : "an unknown address");
  }
  const std::array<std::string, 6> answer = {request.front(),
                                             request.size() > 1 ? request[1] : "",
                                             is_allowed ? "200" : "400",
                                             is_allowed ? "OK" : "the key is not allowed",
                                             is_allowed ? "worker" : "",
                                             ""};
  for (const std::string& part : answer) {
    zmq_send(socket_, part.data(), part.size(), &part == &answer.back() ? 0 : ZMQ_SNDMORE);
  }
  return true;
}

}  // namespace halcyon::cluster
