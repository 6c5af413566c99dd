// What a key table cannot express: settings that contradict each other or have no effect, sizes
// that 32-bit counters cannot hold, and the files that a job names. Internal to jobs/.
#ifndef HALCYON_JOBS_SPEC_CHECKS_H_
#define HALCYON_JOBS_SPEC_CHECKS_H_

#include <string>
#include <string_view>
#include <vector>

#include "jobs/job_spec.h"
#include "jobs/spec_errors.h"
#include "jobs/spec_keys.h"
#include "jobs/spec_reader.h"

namespace halcyon::jobs {

// All but the files. `keys` are those of `spec`.
void CheckSpec(const std::vector<SpecKey>& keys, const SpecLines& lines, const JobSpec& spec,
               SpecErrors& errors);

// The part of it about hosts and launchers.
void CheckPlacement(const PlacementSpec& placement, const SpecLines& lines, SpecErrors& errors);

// The part of it about the format of the sources.
void CheckData(const std::vector<SpecKey>& keys, const JobSpec& spec, const SpecLines& lines,
               SpecErrors& errors);

// The part of it about [[data.source]].
void CheckSources(const DataSpec& data, const SpecLines& lines, SpecErrors& errors);

// Whether `name` serves as a name in file names and figures.
bool IsPlainName(std::string_view name);
inline constexpr size_t kNameLengthMax = 100;
inline constexpr char kPlainNameAdvice[] =
    "use 1 to 100 of the letters a-z and A-Z, digits, '-', '_' and '.', not '-' or '.' first";

// Refuses a path that is not absolute.
void CheckAbsolute(const std::string& key, const std::string& path, const SpecLines& lines,
                   SpecErrors& errors);

// Makes file names absolute; `base_dir` is where relative ones count from. With `check_files` the
// files must exist, must not be empty and must not be recognised as another kind of file.
void ResolveFiles(const std::string& base_dir, bool check_files, const SpecLines& lines,
                  JobSpec* spec, SpecErrors& errors);

// Adds an error about the first of `paths`; the others take part in the contradiction. Where the
// first is a default, the line is that of the first one written. Adds nothing when one of them has
// an error already.
void Refuse(const std::vector<std::string>& paths, const std::string& message,
            const SpecLines& lines, SpecErrors& errors);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_SPEC_CHECKS_H_
