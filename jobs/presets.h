// Bundles of defaults under a name: the sizes of the CALM paper, beside the small ones that a job
// has when it says nothing.
#ifndef HALCYON_JOBS_PRESETS_H_
#define HALCYON_JOBS_PRESETS_H_

#include "jobs/job_spec.h"

namespace halcyon::jobs {

// Gives keys the defaults of the presets that [autoencoder] and [model] name: sizes,
// regularisation, and a schedule for such widths, which is [train]'s for the model.
void ApplyPresets(JobSpec& spec);

// The paper's autoencoder: a spec without a preset that has all of `calm`.
AutoencoderSpec PaperAutoencoder();

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_PRESETS_H_
