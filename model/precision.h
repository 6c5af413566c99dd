// What a precision of a job file is to LibTorch.
#ifndef HALCYON_MODEL_PRECISION_H_
#define HALCYON_MODEL_PRECISION_H_

#include <c10/core/ScalarType.h>

#include "jobs/job_spec.h"

namespace halcyon::model {

// Of parameters in use and of the factors of products.
inline c10::ScalarType TypeOf(jobs::Precision precision) {
  return precision == jobs::Precision::kBFloat16 ? c10::ScalarType::BFloat16
                                                 : c10::ScalarType::Float;
}

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_PRECISION_H_
