// What data.latents = "auto" comes to for a job. Pure.
#ifndef HALCYON_JOBS_LATENTS_CHOICE_H_
#define HALCYON_JOBS_LATENTS_CHOICE_H_

#include <cstdint>
#include <string>

#include "jobs/job_spec.h"

namespace halcyon::jobs {

// English has four to five bytes a token with a large vocabulary, a small one gives shorter tokens.
inline constexpr double kTextBytesOfToken = 4;
// Latents that would take more than this share of what is free are not stored.
inline constexpr double kLatentsDiskShareMax = 0.5;
// Nor are those of a text of which training reads less than this share.
inline constexpr double kLatentsUsedShareMin = 0.5;

struct LatentsChoice {
  LatentsRule rule = LatentsRule::kStore;  // never kAuto
  std::string why;                         // for a person, with the figures that it follows from
};

// `text_bytes`: of all sources, not compressed. `free_bytes`: where the state folder lies.
LatentsChoice ChooseLatents(const JobSpec& spec, uint64_t text_bytes, uint64_t free_bytes,
                            int64_t vocab_size);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_LATENTS_CHOICE_H_
