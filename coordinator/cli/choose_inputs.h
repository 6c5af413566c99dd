// The artifacts that `eval`, `generate` and `checkpoint export` work with.
#ifndef HALCYON_COORDINATOR_CLI_CHOOSE_INPUTS_H_
#define HALCYON_COORDINATOR_CLI_CHOOSE_INPUTS_H_

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "coordinator/cli/model_inputs.h"

namespace halcyon::coordinator {

inline constexpr char kJobHelp[] =
    "The job's id or name; without it and without an artifact: the last finished job";

// `given`: stage -> folder (of a tokenizer also a file), as a person named them. What is missing of
// `stages` comes from the job `job`; without one from the records of what was given; and with
// nothing given from the job that finished last. Says on standard error which are used.
absl::StatusOr<ModelInputs> ChooseInputs(const std::vector<std::string>& stages,
                                         const std::map<std::string, std::string>& given,
                                         const std::string& job, const std::string& home_flag);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CLI_CHOOSE_INPUTS_H_
