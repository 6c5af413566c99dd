// The whole command line of `halcyon`.
#ifndef HALCYON_COORDINATOR_CLI_COMMAND_LINE_H_
#define HALCYON_COORDINATOR_CLI_COMMAND_LINE_H_

namespace halcyon::coordinator {

// Parses, runs the chosen command, prints errors to stderr as "error: ..."; returns the exit code
// (base/exit_code.h). `eval` and `generate` do not return: they execute halcyon-worker.
int RunCommandLine(int argc, const char* const* argv);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CLI_COMMAND_LINE_H_
