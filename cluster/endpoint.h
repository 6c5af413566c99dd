// Where a coordinator listens: "ipc:///path" for the processes of one machine, "tcp://ADDRESS:PORT"
// for others too.
#ifndef HALCYON_CLUSTER_ENDPOINT_H_
#define HALCYON_CLUSTER_ENDPOINT_H_

#include <string>

#include "base/status.h"

namespace halcyon::cluster {

struct Endpoint {
  bool is_tcp = false;
  std::string path;  // of ipc: absolute
  std::string host;  // of tcp: "10.0.0.7", "[fd00::7]", "node-3", "*"
  std::string port;  // of tcp: a number, or "*" for any that is free

  bool is_ipv6() const { return host.starts_with('['); }
  // Whether only processes of this machine can reach it.
  bool is_local() const;
};

// kInvalidArgument: another form, or a character that is not printable.
absl::StatusOr<Endpoint> ParseEndpoint(const std::string& text);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_ENDPOINT_H_
