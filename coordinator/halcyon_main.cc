// halcyon: the command line, and the coordinator of `halcyon run`.
#include "base/logging.h"
#include "coordinator/cli/command_line.h"

int main(int argc, char** argv) {
  halcyon::LogToStderr("halcyon");
  return halcyon::coordinator::RunCommandLine(argc, argv);
}
