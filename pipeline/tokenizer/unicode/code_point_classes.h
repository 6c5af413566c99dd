// What the hand-written matchers ask of a code point, as flags in one byte. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_UNICODE_CODE_POINT_CLASSES_H_
#define HALCYON_PIPELINE_TOKENIZER_UNICODE_CODE_POINT_CLASSES_H_

#include <array>
#include <cstdint>
#include <vector>

#include "pipeline/tokenizer/unicode/code_point_set.h"

namespace halcyon::pipeline {

using CodePointClass = uint8_t;

inline constexpr CodePointClass kUpper = 1;        // Lu, Lt
inline constexpr CodePointClass kLower = 2;        // Ll
inline constexpr CodePointClass kUncased = 4;      // Lm, Lo
inline constexpr CodePointClass kMark = 8;         // M
inline constexpr CodePointClass kNumber = 16;      // N
inline constexpr CodePointClass kWhiteSpace = 32;  // line ends too
inline constexpr CodePointClass kLineEnd = 64;     // CR and LF
inline constexpr CodePointClass kLetter = kUpper | kLower | kUncased;

// Equal to the sets of code_point_set.h; blocks of code points that are alike are kept once.
// Immutable; thread-safe.
class CodePointClasses {
 public:
  static const CodePointClasses& Get();

  CodePointClass Of(char32_t point) const {
    return blocks_[block_of_[point / kBlockPoints]][point % kBlockPoints];
  }
  CodePointClass OfAscii(uint8_t byte) const { return blocks_[0][byte]; }

 private:
  static constexpr size_t kBlockPoints = 128;
  using Block = std::array<CodePointClass, kBlockPoints>;

  CodePointClasses();

  std::array<uint16_t, kCodePoints / kBlockPoints> block_of_{};
  std::vector<Block> blocks_;  // the first is ASCII's
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_UNICODE_CODE_POINT_CLASSES_H_
