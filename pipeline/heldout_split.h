// Which documents are never trained on.
#ifndef HALCYON_PIPELINE_HELDOUT_SPLIT_H_
#define HALCYON_PIPELINE_HELDOUT_SPLIT_H_

#include <string_view>

namespace halcyon::pipeline {

// Whether a document is held out, by XXH3 of its bytes: the same everywhere and always, and equal
// documents fall on one side. `fraction`: of all documents, 0 ... 1.
bool IsHeldout(std::string_view text, double fraction);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_HELDOUT_SPLIT_H_
