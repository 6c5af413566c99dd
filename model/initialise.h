// First values of parameters: a pure function of seed, name and element, so every rank can draw
// just the elements it owns.
#ifndef HALCYON_MODEL_INITIALISE_H_
#define HALCYON_MODEL_INITIALISE_H_

#include <cstdint>
#include <span>

#include "jobs/job_spec.h"
#include "model/unit.h"

namespace halcyon::model {

// Elements first ... first + out.size() - 1 of the parameter (row-major).
// kNormal: weights and embeddings N(0, init_std). kFanIn: weights N(0, 1/sqrt(fan_in)), embeddings
// N(0, init_std). Zeros and ones as their kind says. (Paper: N(0, 0.02), zero biases.)
void DrawInitial(const Parameter& parameter, jobs::InitRule rule, double init_std, uint64_t seed,
                 uint64_t first, std::span<float> out);

// Fills every parameter of a materialised unit.
void Initialise(Unit& unit, jobs::InitRule rule, double init_std, uint64_t seed);

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_INITIALISE_H_
