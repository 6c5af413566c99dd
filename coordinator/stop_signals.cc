#include "coordinator/stop_signals.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "base/clock.h"
#include "base/exit_code.h"
#include "cluster/process.h"

namespace halcyon::coordinator {
namespace {

constexpr int kRequestsToExit = 3;

StopCounter counter;
Clock* monotonic = nullptr;

void OnSignal(int) {
  const int saved_errno = errno;
  if (counter.Signal(monotonic->MonotonicMs()) >= kRequestsToExit) {
    _exit(static_cast<int>(ExitCode::kPreempted));
  }
  errno = saved_errno;
}

}  // namespace

void CountStopSignals() {
  monotonic = Clock::Real();
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (const int signal : cluster::StopSignalNumbers()) {
    struct sigaction before = {};
    sigaction(signal, nullptr, &before);
    if (signal == SIGHUP && before.sa_handler == SIG_IGN) continue;
    sigaction(signal, &action, nullptr);
  }
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

int StopSignals() { return counter.requests(); }

}  // namespace halcyon::coordinator
