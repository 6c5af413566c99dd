// Which share of the windows that the model is trained on each [[data.source]] gives.
#ifndef HALCYON_JOBS_MIXTURE_H_
#define HALCYON_JOBS_MIXTURE_H_

#include <cstdint>
#include <vector>

#include "jobs/job_spec.h"

namespace halcyon::jobs {

// Of so many windows in a row each source gives as many as its share says, rounded
// (pipeline/samples/mixture_order.h), so that a source needs a share of one of them.
inline constexpr uint32_t kMixtureBlock = 10'000;
inline constexpr double kShareMin = 1.0 / kMixtureBlock;

// By source, with the sum 1; empty where fewer than two sources are given.
std::vector<double> SharesOf(const DataSpec& data);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_MIXTURE_H_
