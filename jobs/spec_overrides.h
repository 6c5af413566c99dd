// Values given on the command line in place of the job file's: `--set train.steps=2000`.
#ifndef HALCYON_JOBS_SPEC_OVERRIDES_H_
#define HALCYON_JOBS_SPEC_OVERRIDES_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"

namespace halcyon::jobs {

struct SpecOverride {
  std::string path;   // "train.steps"
  std::string value;  // as TOML; a string may stand without its quotes
};

// Of words "KEY=VALUE". kInvalidArgument, a line for each: no such form, a key given twice, a
// control character, and `name`, which with the file's path is the job's identity.
absl::StatusOr<std::vector<SpecOverride>> ParseOverrides(const std::vector<std::string>& words);

// LoadJobSpec with these values in place of the file's, under the same checks. What is wrong with
// one, alone or beside the file's values, reads "--set KEY: what is wrong; what to do". File names
// count from the folder of the job file, as there.
absl::StatusOr<JobSpec> LoadJobSpec(const std::string& path,
                                    const std::vector<SpecOverride>& overrides);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_SPEC_OVERRIDES_H_
