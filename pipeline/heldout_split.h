// Which documents are never trained on.
#ifndef HALCYON_PIPELINE_HELDOUT_SPLIT_H_
#define HALCYON_PIPELINE_HELDOUT_SPLIT_H_

#include <string_view>

namespace halcyon::pipeline {

// Whether a document is held out, decided by the XXH3 of its bytes alone, so equal documents are
// all held out or all trained on. `fraction`: of all documents, 0 ... 1.
bool IsHeldout(std::string_view text, double fraction);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_HELDOUT_SPLIT_H_
