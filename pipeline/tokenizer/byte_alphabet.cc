#include "pipeline/tokenizer/byte_alphabet.h"

#include <array>
#include <cstdint>

namespace halcyon::pipeline {
namespace {

// Every character of the alphabet is below U+0144, so it takes one or two bytes of UTF-8.
constexpr int kAlphabetPoints = 0x144;

constexpr bool StandsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<uint16_t, 256> code_point{};
  std::array<int16_t, kAlphabetPoints> byte{};  // -1: not of the alphabet
};

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  alphabet.byte.fill(-1);
  uint16_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const uint16_t code_point = StandsForItself(byte) ? static_cast<uint16_t>(byte) : next++;
    alphabet.code_point[byte] = code_point;
    alphabet.byte[code_point] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

uint16_t AlphabetPoint(uint8_t byte) { return kAlphabet.code_point[byte]; }

std::string SpellBytes(std::string_view bytes) {
  std::string out;
  out.reserve(2 * bytes.size());
  for (const char byte : bytes) {
    const uint16_t code_point = kAlphabet.code_point[static_cast<uint8_t>(byte)];
    if (code_point < 0x80) {
      out += static_cast<char>(code_point);
    } else {
      out += static_cast<char>(0xC0 | code_point >> 6);
      out += static_cast<char>(0x80 | (code_point & 0x3F));
    }
  }
  return out;
}

std::optional<std::string> ReadSpelling(std::string_view spelling) {
  std::string out;
  out.reserve(spelling.size());
  for (size_t i = 0; i < spelling.size(); ++i) {
    const auto lead = static_cast<uint8_t>(spelling[i]);
    int code_point = lead;
    if (lead >= 0x80) {
      if (lead < 0xC2 || lead > 0xDF || ++i == spelling.size()) return std::nullopt;
      const auto trail = static_cast<uint8_t>(spelling[i]);
      if ((trail & 0xC0) != 0x80) return std::nullopt;
      code_point = (lead & 0x1F) << 6 | (trail & 0x3F);
    }
    if (code_point >= kAlphabetPoints || kAlphabet.byte[code_point] < 0) return std::nullopt;
    out += static_cast<char>(kAlphabet.byte[code_point]);
  }
  return out;
}

}  // namespace halcyon::pipeline
