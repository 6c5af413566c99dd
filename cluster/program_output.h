// What a program prints that is asked for something and then ends.
#ifndef HALCYON_CLUSTER_PROGRAM_OUTPUT_H_
#define HALCYON_CLUSTER_PROGRAM_OUTPUT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace halcyon::cluster {

// Runs it to its end; what it printed on stdout and stderr, however it ended. Variables whose names
// start with one of `env_prefixes_dropped` are not passed on. kNotFound: no such program in PATH;
// kInvalidArgument: it did not end within `ms_max`, and was killed.
absl::StatusOr<std::string> ProgramOutput(const std::vector<std::string>& argv,
                                          const std::vector<std::string>& env_prefixes_dropped,
                                          int64_t ms_max);

// The first `name` in PATH, as posix_spawnp finds it; the name itself when there is none.
std::string FoundInPath(const std::string& name);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_PROGRAM_OUTPUT_H_
