#include "coordinator/page/page_server.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <sys/socket.h>

#include <atomic>
#include <charconv>
#include <thread>
#include <utility>

#include "coordinator/page/page_text.h"

namespace halcyon::coordinator {
namespace {

constexpr char kJobsPath[] = "/api/jobs";
constexpr char kCurvesPart[] = "/curves/";
constexpr size_t kServerThreads = 8;
constexpr time_t kPeerSecondsMax = 3;
constexpr size_t kBodyBytesMax = 1024;
constexpr char kJson[] = "application/json";
constexpr char kText[] = "text/plain; version=0.0.4; charset=utf-8";

// The name of a Host header, without its port.
std::string_view HostName(std::string_view header) {
  if (header.starts_with("[")) return header.substr(0, header.find(']') + 1);
  return header.substr(0, header.find(':'));
}

bool IsOwnName(std::string_view name) {
  in_addr address;
  return name == "localhost" || name == "[::1]" ||
         (inet_pton(AF_INET, std::string(name).c_str(), &address) == 1 &&
          ntohl(address.s_addr) >> 24 == 127);
}

int HttpStatusOf(const absl::Status& status) { return absl::IsNotFound(status) ? 404 : 503; }

class HttplibPageServer final : public PageServer {
 public:
  HttplibPageServer(ListenAddress address, HomeView* view)
      : address_(std::move(address)), view_(view) {}
  ~HttplibPageServer() override {
    if (!thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }

  absl::Status Open() {
    // The default would also share the port with another server that asks for it.
    server_.set_socket_options([](socket_t socket) {
      const int on = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    });
    server_.new_task_queue = [] { return new httplib::ThreadPool(kServerThreads); };
    // A connection that is kept open would keep one of few threads.
    server_.set_keep_alive_max_count(1);
    server_.set_read_timeout(kPeerSecondsMax);
    server_.set_write_timeout(kPeerSecondsMax);
    server_.set_payload_max_length(kBodyBytesMax);
    // All requests, before the library's own table of patterns.
    server_.set_pre_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
          Answer(request, &response);
          return httplib::Server::HandlerResponse::Handled;
        });
    if (address_.port == 0) {
      const int port = server_.bind_to_any_port(address_.host);
      if (port <= 0) return Unavailable("no free port at " + address_.host);
      address_.port = static_cast<uint16_t>(port);
    } else if (!server_.bind_to_port(address_.host, address_.port)) {
      return InvalidArgument("cannot listen at " + address_.host + ", port " +
                             std::to_string(address_.port) +
                             ": it is in use, or the address is not one of this machine; choose "
                             "another, or port 0 for any free one");
    }
    thread_ = std::thread([this] {
      server_.listen_after_bind();
      has_ended_ = true;
    });
    // Until it runs, stopping would have no effect. The socket listens already: it runs at once.
    while (!server_.is_running() && !has_ended_) std::this_thread::yield();
    return absl::OkStatus();
  }

  const ListenAddress& address() const override { return address_; }

 private:
  void Answer(const httplib::Request& request, httplib::Response* response) const {
    response->set_header("X-Content-Type-Options", "nosniff");
    response->set_header("Referrer-Policy", "no-referrer");
    response->set_header("Cache-Control", "no-store");
    response->set_header("Cross-Origin-Resource-Policy", "same-origin");
    response->set_header("Content-Security-Policy", ContentSecurityPolicy());
    if (request.method != "GET" && request.method != "HEAD") {
      response->set_header("Allow", "GET, HEAD");
      return Refuse(405, "this server only shows", response);
    }
    if (address_.is_loopback && !IsOwnName(HostName(request.get_header_value("Host")))) {
      return Refuse(403, "asked for under a name that is not this machine's own", response);
    }
    if (request.path == "/") return response->set_content(PageHtml(), "text/html; charset=utf-8");
    if (request.path == "/metrics") return Give(view_->Prometheus(), kText, response);
    if (request.path == kJobsPath) return Give(view_->Jobs(), kJson, response);
    const std::string job_prefix = std::string(kJobsPath) + "/";
    if (!request.path.starts_with(job_prefix)) return Refuse(404, "no such page", response);
    const std::string rest = request.path.substr(job_prefix.size());
    const size_t curves = rest.find(kCurvesPart);
    if (curves == std::string::npos) return Give(view_->Job(rest), kJson, response);
    Give(view_->Curves(rest.substr(0, curves), rest.substr(curves + sizeof(kCurvesPart) - 1)),
         kJson, response);
  }

  static void Refuse(int code, const std::string& why, httplib::Response* response) {
    response->status = code;
    response->set_content(why + "\n", "text/plain; charset=utf-8");
  }
  static std::string TextOf(const std::string& text) { return text; }
  static std::string TextOf(const nlohmann::json& json) {
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  template <typename Content>
  static void Give(const absl::StatusOr<Content>& content, const char* type,
                   httplib::Response* response) {
    if (!content.ok()) {
      return Refuse(HttpStatusOf(content.status()), MessageOf(content.status()), response);
    }
    response->set_content(TextOf(*content), type);
  }

  ListenAddress address_;
  HomeView* const view_;
  httplib::Server server_;
  std::atomic<bool> has_ended_ = false;
  std::thread thread_;
};

}  // namespace

std::string ListenAddress::Url() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return "http://" + (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port) + "/";
}

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text) {
  const absl::Status bad = InvalidArgument(
      "--http " + std::string(text) +
      ": give an address in digits and a port, such as 127.0.0.1:8080, [::1]:8080, or port 0 for "
      "any free one");
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad;
  ListenAddress address;
  const std::string_view digits = text.substr(colon + 1);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return bad;
  address.host = text.substr(0, colon);
  if (address.host == "localhost") address.host = "127.0.0.1";
  in_addr v4;
  if (inet_pton(AF_INET, address.host.c_str(), &v4) == 1) {
    address.is_loopback = ntohl(v4.s_addr) >> 24 == 127;
    return address;
  }
  if (address.host.size() < 2 || address.host.front() != '[' || address.host.back() != ']') {
    return bad;
  }
  address.host = address.host.substr(1, address.host.size() - 2);
  in6_addr v6;
  if (inet_pton(AF_INET6, address.host.c_str(), &v6) != 1) return bad;
  address.is_loopback = IN6_IS_ADDR_LOOPBACK(&v6) != 0;
  return address;
}

absl::StatusOr<std::unique_ptr<PageServer>> PageServer::Start(const ListenAddress& address,
                                                              HomeView* view) {
  auto server = std::make_unique<HttplibPageServer>(address, view);
  RETURN_IF_ERROR(server->Open());
  return server;
}

}  // namespace halcyon::coordinator
