// The text of properties.txt and normalization.txt, which make_tables.py generated. Internal to
// pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_UNICODE_UNICODE_DATA_H_
#define HALCYON_PIPELINE_TOKENIZER_UNICODE_UNICODE_DATA_H_

#include <string_view>
#include <vector>

namespace halcyon::pipeline {

extern const char* const kUnicodeProperties;
extern const char* const kUnicodeNormalization;

// A line that begins without a space names a section; its words are on the indented lines below.
struct UnicodeSection {
  std::string_view name;
  std::vector<std::string_view> words;
};
std::vector<UnicodeSection> SectionsOf(std::string_view data);

// Takes a hexadecimal number from the front of `word`, and the character after it.
char32_t TakeHex(std::string_view* word);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_UNICODE_UNICODE_DATA_H_
