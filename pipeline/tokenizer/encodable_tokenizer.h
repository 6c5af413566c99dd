// What every kind of tokenizer has besides tokenizer.h. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_ENCODABLE_TOKENIZER_H_
#define HALCYON_PIPELINE_TOKENIZER_ENCODABLE_TOKENIZER_H_

#include <memory>
#include <string>

#include "pipeline/tokenizer.h"

namespace halcyon::pipeline {

class EncodableTokenizer : public Tokenizer {
 public:
  // Shares the tokenizer, which a shared_ptr owns.
  virtual std::unique_ptr<Encoder> NewEncoder() const = 0;

 protected:
  // For Decode: kInvalidArgument unless the vocabulary has the id that is at `position`.
  absl::Status CheckId(uint32_t id, size_t position) const;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_ENCODABLE_TOKENIZER_H_
