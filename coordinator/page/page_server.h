// The HTTP server of `halcyon status --http`: one page, the JSON that it asks for, and /metrics for
// Prometheus. It answers GET and HEAD, and changes nothing.
#ifndef HALCYON_COORDINATOR_PAGE_PAGE_SERVER_H_
#define HALCYON_COORDINATOR_PAGE_PAGE_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "coordinator/page/home_view.h"

namespace halcyon::coordinator {

struct ListenAddress {
  std::string host;  // an IPv4 or IPv6 address in digits
  uint16_t port = 0;
  bool is_loopback = false;
  std::string Url() const;  // "http://127.0.0.1:8080/"
};

// "127.0.0.1:8080", "localhost:0", "[::1]:8080". kInvalidArgument for others.
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text);

// Threads: those of the server answer requests until the destructor, which waits for the requests
// that are under way. Borrows the view.
class PageServer {
 public:
  // Port 0: any free one. On a loopback address, requests are answered only when the name that they
  // ask for is one of this machine's own, so that a page of another site cannot read this one under
  // a name that it lets resolve to 127.0.0.1. kInvalidArgument: the address is not to be had.
  static absl::StatusOr<std::unique_ptr<PageServer>> Start(const ListenAddress& address,
                                                           HomeView* view);
  virtual ~PageServer() = default;
  // With the port that was chosen.
  virtual const ListenAddress& address() const = 0;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PAGE_PAGE_SERVER_H_
