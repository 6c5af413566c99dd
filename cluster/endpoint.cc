#include "cluster/endpoint.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/terminal_text.h"

namespace halcyon::cluster {
namespace {

constexpr std::string_view kIpcScheme = "ipc://", kTcpScheme = "tcp://";

bool IsPort(const std::string& port) {
  if (port == "*") return true;
  uint16_t number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == port.data() + port.size();
}

}  // namespace

bool Endpoint::is_local() const {
  if (!is_tcp) return true;
  if (host == "[::1]") return true;
  in_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

absl::StatusOr<Endpoint> ParseEndpoint(const std::string& text) {
  const absl::Status bad_form =
      InvalidArgument("endpoint \"" + EscapeForTerminal(text) +
                      "\" is not of the form ipc:///path or tcp://address:port");
  const bool controls = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (controls) return bad_form;
  Endpoint endpoint;
  if (text.starts_with(kIpcScheme)) {
    endpoint.path = text.substr(kIpcScheme.size());
    if (!endpoint.path.starts_with('/')) return bad_form;
    return endpoint;
  }
  const size_t colon = text.rfind(':');
  if (!text.starts_with(kTcpScheme) || colon <= kTcpScheme.size()) return bad_form;
  endpoint.is_tcp = true;
  endpoint.host = text.substr(kTcpScheme.size(), colon - kTcpScheme.size());
  endpoint.port = text.substr(colon + 1);
  const bool has_bracket = endpoint.host.find_first_of("[]") != std::string::npos;
  const bool is_bracketed = endpoint.host.starts_with('[') && endpoint.host.ends_with(']');
  const bool has_colon = endpoint.host.find(':') != std::string::npos;
  if (has_bracket != is_bracketed || has_colon != is_bracketed) return bad_form;
  if (endpoint.host.find_first_of(" /;@") != std::string::npos || !IsPort(endpoint.port)) {
    return bad_form;
  }
  return endpoint;
}

}  // namespace halcyon::cluster
