// Which special token ends a text, and which fills a batch. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_SPECIAL_NAMES_H_
#define HALCYON_PIPELINE_TOKENIZER_SPECIAL_NAMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace halcyon::pipeline {

struct SpecialTokens {
  uint32_t end_of_text = 0;
  uint32_t padding = 0;  // end_of_text, where there is none of its own
};

// By the names that families of models give them, among the tokens that are special.
// kInvalidArgument: none ends a text.
absl::StatusOr<SpecialTokens> ChooseSpecialTokens(const std::vector<std::string>& tokens,
                                                  const std::vector<bool>& special);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_SPECIAL_NAMES_H_
