#include "coordinator/page/serve_page.h"

#include <utility>

#include "base/clock.h"
#include "coordinator/page/page_server.h"
#include "coordinator/stop_signals.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kStopPollMs = 50;

}  // namespace

absl::Status ServePage(const ServeOptions& options, const storage::HomeLayout& home,
                       HomeView::ListJobs list_jobs,
                       const std::function<void(const std::string& url)>& started) {
  ASSIGN_OR_RETURN(const ListenAddress address, ParseListenAddress(options.address));
  if (!address.is_loopback && !options.is_public) {
    return InvalidArgument("--http " + options.address +
                           ": other machines could read every job's name, state and figures there "
                           "without a password; use 127.0.0.1 and, from elsewhere, ssh -L, or say "
                           "--http-public");
  }
  CountStopSignals();
  HomeView view(*Env::Posix(), *Clock::Real(), home, std::move(list_jobs));
  ASSIGN_OR_RETURN(const auto server, PageServer::Start(address, &view));
  started(server->address().Url());
  while (StopSignals() == 0) Clock::Real()->SleepMs(kStopPollMs);
  return absl::OkStatus();
}

}  // namespace halcyon::coordinator
