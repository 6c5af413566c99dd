// Which parts of the held-out text are scored apart.
#ifndef HALCYON_JOBS_HELDOUT_PARTS_H_
#define HALCYON_JOBS_HELDOUT_PARTS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "jobs/job_spec.h"

namespace halcyon::jobs {

// The name of the part that data.heldout_sources is; no [[data.source]] may have it then.
inline constexpr char kHeldoutSources[] = "heldout_sources";

struct HeldoutPart {
  std::string name;
  size_t files = 0;  // so many of DataSpec::Files(), after those of the parts before it
  bool operator==(const HeldoutPart&) const = default;
};

// What is held out of each [[data.source]], or of data.sources together ("sources"), and
// "heldout_sources". Empty where that is one part only.
std::vector<HeldoutPart> HeldoutPartsOf(const DataSpec& data);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_HELDOUT_PARTS_H_
