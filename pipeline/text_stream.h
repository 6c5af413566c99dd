// Text of ids that follow other ids, whole or as they come.
#ifndef HALCYON_PIPELINE_TEXT_STREAM_H_
#define HALCYON_PIPELINE_TEXT_STREAM_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "pipeline/tokenizer.h"

namespace halcyon::pipeline {

// What `ids` add to the text of `before`; the same as decoding them alone with byte-level BPE.
// Other decoders treat the first token of a text apart, join pieces of a word and words by spaces.
// kInvalidArgument: an unknown id.
absl::StatusOr<std::string> DecodeBehind(const Tokenizer& tokenizer,
                                         std::span<const uint32_t> before,
                                         std::span<const uint32_t> ids);

// Not thread-safe. REQUIRES: the tokenizer outlives it.
class TextStream {
 public:
  TextStream(const Tokenizer* tokenizer, std::span<const uint32_t> before)
      : tokenizer_(*tokenizer), before_(before.begin(), before.end()) {}

  // What the ids add. Text that ends within a character waits for the rest of it, some tokens long.
  absl::StatusOr<std::string> Add(std::span<const uint32_t> ids);
  // What waits.
  absl::StatusOr<std::string> Finish();

 private:
  void Shown();  // what waited has been

  const Tokenizer& tokenizer_;
  std::vector<uint32_t> before_, waiting_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TEXT_STREAM_H_
