// Text for the script that Slurm runs.
#ifndef HALCYON_COORDINATOR_SUBMIT_SHELL_H_
#define HALCYON_COORDINATOR_SUBMIT_SHELL_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon::coordinator {

// One word of a POSIX shell that stands for exactly these bytes; as it is where nothing in it means
// anything to a shell. No NUL.
std::string ShellQuoted(std::string_view text);
// The words with a space between.
std::string ShellCommand(const std::vector<std::string>& words);

// The value of an option in a line "#SBATCH --name=VALUE", in double quotes. sbatch has no escape
// that holds for all characters, so quotes, backslashes and control characters are
// kInvalidArgument, which names `what`.
absl::StatusOr<std::string> SbatchQuoted(std::string_view text, std::string_view what);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_SHELL_H_
