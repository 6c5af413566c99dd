// SIGINT and SIGTERM as a count: the first asks to save and end, the second to end at once.
#ifndef HALCYON_COORDINATOR_STOP_SIGNALS_H_
#define HALCYON_COORDINATOR_STOP_SIGNALS_H_

namespace halcyon::coordinator {

// From here on these signals are counted. A third ends the process where it stands; its workers
// notice and end by themselves. SIGPIPE is ignored: whoever reads the progress may go away.
void CountStopSignals();
int StopSignals();

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_STOP_SIGNALS_H_
