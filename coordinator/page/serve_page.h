// `halcyon status --http`: serves the page until a signal asks to stop.
#ifndef HALCYON_COORDINATOR_PAGE_SERVE_PAGE_H_
#define HALCYON_COORDINATOR_PAGE_SERVE_PAGE_H_

#include <functional>
#include <string>

#include "base/status.h"
#include "coordinator/page/home_view.h"

namespace halcyon::coordinator {

struct ServeOptions {
  std::string address;     // of --http
  bool is_public = false;  // --http-public: other machines may be served
};

// `started` is told the page's address once it can be asked for. OK after SIGINT or SIGTERM.
// kInvalidArgument: an address that is not loopback, without `is_public`.
absl::Status ServePage(const ServeOptions& options, const storage::HomeLayout& home,
                       HomeView::ListJobs list_jobs,
                       const std::function<void(const std::string& url)>& started);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PAGE_SERVE_PAGE_H_
