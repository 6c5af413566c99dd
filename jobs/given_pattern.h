// The pattern that a tokenizer's file is read with.
#ifndef HALCYON_JOBS_GIVEN_PATTERN_H_
#define HALCYON_JOBS_GIVEN_PATTERN_H_

#include <string>

#include "jobs/job_spec.h"

namespace halcyon::jobs {

// "", which leaves it to the file at `path`, when the pattern is the default one.
inline std::string GivenPattern(const TokenizerSpec& tokenizer) {
  return tokenizer.pattern == TokenizerSpec().pattern ? "" : tokenizer.pattern;
}

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_GIVEN_PATTERN_H_
