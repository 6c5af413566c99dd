// What a job file and the operator's cluster.toml may ask Slurm for. The values end in a script
// that Slurm runs, so what each may hold is a list of allowed characters: no quote, backslash,
// dollar, backtick or control character is among them. Internal to jobs/.
#ifndef HALCYON_JOBS_SLURM_KEYS_H_
#define HALCYON_JOBS_SLURM_KEYS_H_

#include <string>
#include <string_view>

#include "jobs/job_spec.h"
#include "jobs/spec_errors.h"
#include "jobs/spec_reader.h"

namespace halcyon::jobs {

// Adds an error for each value that may not stand there.
void CheckSlurm(const std::string& section, const SlurmSpec& slurm, const SpecLines& lines,
                SpecErrors& errors);

// Letters, digits, space and _.,:=/@%+-[]()&|*!#~ ; not '-' or a space first, no space last.
bool IsSlurmValue(std::string_view value);
// As sbatch takes it: MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS,
// DAYS-HOURS:MINUTES, DAYS-HOURS:MINUTES:SECONDS.
bool IsSlurmTime(std::string_view value);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_SLURM_KEYS_H_
