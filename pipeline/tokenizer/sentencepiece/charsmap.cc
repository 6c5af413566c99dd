#include "pipeline/tokenizer/sentencepiece/charsmap.h"

#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

uint32_t LittleEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= uint32_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return value;
}

// The parts of a unit of a darts-clone double array.
bool HasLeaf(uint32_t unit) { return unit >> 8 & 1; }
uint32_t ValueOf(uint32_t unit) { return unit & 0x7FFFFFFF; }
uint32_t LabelOf(uint32_t unit) { return unit & 0x800000FF; }
uint32_t OffsetOf(uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

// Whether a byte goes on with a character.
bool IsTrail(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

}  // namespace

absl::StatusOr<SentencePieceNormalizer> SentencePieceNormalizer::Create(
    const SentencePieceModel& model) {
  SentencePieceNormalizer normalizer;
  normalizer.add_dummy_prefix_ = model.add_dummy_prefix;
  normalizer.remove_extra_spaces_ = model.remove_extra_spaces;
  normalizer.space_as_suffix_ = model.space_as_suffix;
  normalizer.space_ = model.escape_spaces ? kSpaceSymbol : " ";
  std::string_view blob = model.charsmap;
  if (blob.empty()) return normalizer;
  const uint32_t bytes = blob.size() > 4 ? LittleEndian(blob) : 0;
  if (bytes < 1024 || bytes % 1024 != 0 || bytes >= blob.size() - 4) {
    return InvalidArgument("normalizer_spec.precompiled_charsmap is damaged");
  }
  for (size_t at = 4; at < 4 + size_t{bytes}; at += 4) {
    normalizer.units_.push_back(LittleEndian(blob.substr(at)));
  }
  normalizer.replacements_ = blob.substr(4 + size_t{bytes});
  if (!IsValidUtf8(normalizer.replacements_)) {
    return InvalidArgument(
        "normalizer_spec.precompiled_charsmap replaces text by what is no UTF-8");
  }
  return normalizer;
}

SentencePieceNormalizer::Prefix SentencePieceNormalizer::LongestRule(std::string_view text) const {
  Prefix longest{{}, 0};
  if (units_.empty()) return longest;
  uint32_t node = OffsetOf(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    node ^= byte;
    if (node >= units_.size() || LabelOf(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= OffsetOf(unit);
    if (!HasLeaf(unit) || node >= units_.size()) continue;
    const uint32_t value = ValueOf(units_[node]);
    // Damaged rules must not take characters apart.
    if (value >= replacements_.size() || IsTrail(replacements_[value]) ||
        (i + 1 < text.size() && IsTrail(text[i + 1]))) {
      continue;
    }
    longest = {std::string_view(replacements_.c_str() + value), i + 1};
  }
  return longest;
}

SentencePieceNormalizer::Prefix SentencePieceNormalizer::NormalizePrefix(
    std::string_view text, const ByteTrie& kept) const {
  if (const auto match = kept.LongestPrefix(text)) {
    return {text.substr(0, match->bytes), match->bytes};
  }
  const Prefix rule = LongestRule(text);
  if (rule.bytes > 0) return rule;
  size_t bytes = 0;
  NextCodePoint(text, &bytes);
  return {text.substr(0, bytes), bytes};
}

std::string SentencePieceNormalizer::Normalize(std::string_view text, const ByteTrie& kept) const {
  while (remove_extra_spaces_ && !text.empty()) {
    const Prefix prefix = NormalizePrefix(text, kept);
    if (prefix.normalized != " ") break;
    text.remove_prefix(prefix.bytes);
  }
  std::string out;
  if (text.empty()) return out;
  out.reserve(text.size() + text.size() / 2);
  if (add_dummy_prefix_ && !space_as_suffix_) out += space_;
  bool after_space = remove_extra_spaces_;
  while (!text.empty()) {
    const Prefix prefix = NormalizePrefix(text, kept);
    std::string_view part = prefix.normalized;
    while (after_space && part.starts_with(' ')) part.remove_prefix(1);
    for (const char c : part) {
      if (c == ' ') {
        out += space_;
      } else {
        out += c;
      }
    }
    if (!part.empty()) after_space = remove_extra_spaces_ && part.ends_with(' ');
    text.remove_prefix(prefix.bytes);
  }
  while (remove_extra_spaces_ && out.ends_with(space_)) out.resize(out.size() - space_.size());
  if (add_dummy_prefix_ && space_as_suffix_) out += space_;
  return out;
}

}  // namespace halcyon::pipeline
