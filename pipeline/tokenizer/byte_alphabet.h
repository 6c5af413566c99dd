// The printable spelling of bytes in tokenizer.json files (from GPT-2): each byte is one Unicode
// character that JSON shows as it is; the space is U+0120.
#ifndef HALCYON_PIPELINE_TOKENIZER_BYTE_ALPHABET_H_
#define HALCYON_PIPELINE_TOKENIZER_BYTE_ALPHABET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace halcyon::pipeline {

// UTF-8 of the characters for `bytes`.
std::string SpellBytes(std::string_view bytes);

// The character that stands for a byte.
uint16_t AlphabetPoint(uint8_t byte);
// The inverse; nullopt when `spelling` has anything else than characters of the alphabet.
std::optional<std::string> ReadSpelling(std::string_view spelling);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_BYTE_ALPHABET_H_
