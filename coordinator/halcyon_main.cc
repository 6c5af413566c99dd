// halcyon: the command line, and the coordinator of `halcyon run`.
#include "base/exit_code.h"
#include "base/file_descriptor.h"
#include "base/logging.h"
#include "base/open_files.h"
#include "coordinator/cli/command_line.h"

int main(int argc, char** argv) {
  // Before any file is opened. Without descriptors an error could not be printed anywhere.
  if (const absl::Status opened = halcyon::OpenMissingStandardDescriptors(); !opened.ok()) {
    return static_cast<int>(halcyon::ExitCodeOf(opened));
  }
  halcyon::RaiseOpenFilesLimit();
  halcyon::LogToStderr("halcyon");
  return halcyon::coordinator::RunCommandLine(argc, argv);
}
