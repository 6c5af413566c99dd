// Reads Hugging Face's tokenizer.json. Internal to pipeline/.
//
// Post-processors, truncation and padding are not looked at: a text is encoded whole, and nothing
// is added to it. What else is not understood is refused by its path in the file, since ids would
// silently differ.
#ifndef HALCYON_PIPELINE_TOKENIZER_JSON_TOKENIZER_JSON_H_
#define HALCYON_PIPELINE_TOKENIZER_JSON_TOKENIZER_JSON_H_

#include <memory>
#include <string>

#include "pipeline/tokenizer.h"

namespace halcyon::pipeline {

// `pattern`: "", or the name of the expression that takes the place of the file's own; only for
// byte-level BPE that is cut by one expression. kInvalidArgument: not JSON, or what is not
// supported and where in the document.
absl::StatusOr<std::shared_ptr<const Tokenizer>> ReadTokenizerJson(std::string_view text,
                                                                   const std::string& pattern);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_JSON_TOKENIZER_JSON_H_
