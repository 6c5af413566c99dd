#include "coordinator/stop_signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "base/exit_code.h"

namespace halcyon::coordinator {
namespace {

std::atomic<int> stop_signals = 0;
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may not wait");

void OnSignal(int) {
  if (stop_signals.fetch_add(1) >= 2) _exit(static_cast<int>(ExitCode::kPreempted));
}

}  // namespace

void CountStopSignals() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

int StopSignals() { return stop_signals; }

}  // namespace halcyon::coordinator
