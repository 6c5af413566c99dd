#include "pipeline/tokenizer/unicode/unicode_forms.h"

#include <algorithm>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "pipeline/tokenizer/unicode/unicode_data.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

// Hangul syllables are composed of jamo by arithmetic (Unicode 15, section 3.12).
constexpr char32_t kSyllables = 0xAC00, kLead = 0x1100, kVowel = 0x1161, kTail = 0x11A7;
constexpr char32_t kLeads = 19, kVowels = 21, kTails = 28;
constexpr char32_t kSyllableCount = kLeads * kVowels * kTails;

// Below it nothing decomposes canonically to something else than what composes again, and nothing
// has a combining class: text of such code points is in NFC.
constexpr char32_t kFirstMark = 0x300;

struct FormTables {
  using Mapping = absl::flat_hash_map<char32_t, std::u32string>;
  Mapping canonical, compatible, lowercase;
  absl::flat_hash_map<char32_t, uint8_t> combining_class;
  absl::flat_hash_map<uint64_t, char32_t> compositions;

  FormTables() {
    for (const UnicodeSection& section : SectionsOf(kUnicodeNormalization)) {
      if (section.name == "canonical") ReadMapping(section, &canonical);
      if (section.name == "compatible") ReadMapping(section, &compatible);
      if (section.name == "lowercase") ReadMapping(section, &lowercase);
      if (section.name == "compositions") ReadCompositions(section);
      if (section.name.starts_with("class ")) ReadClass(section);
    }
  }

  static void ReadMapping(const UnicodeSection& section, Mapping* mapping) {
    for (std::string_view word : section.words) {
      std::u32string& to = (*mapping)[TakeHex(&word)];
      while (!word.empty()) to += TakeHex(&word);
    }
  }
  void ReadCompositions(const UnicodeSection& section) {
    for (std::string_view word : section.words) {
      const uint64_t first = TakeHex(&word), second = TakeHex(&word);
      compositions[first << 32 | second] = TakeHex(&word);
    }
  }
  void ReadClass(const UnicodeSection& section) {
    const auto value = static_cast<uint8_t>(std::stoi(std::string(section.name.substr(6))));
    for (std::string_view word : section.words) {
      const char32_t first = TakeHex(&word), last = word.empty() ? first : TakeHex(&word);
      for (char32_t point = first; point <= last; ++point) combining_class[point] = value;
    }
  }

  uint8_t ClassOf(char32_t point) const {
    const auto found = point < kFirstMark ? combining_class.end() : combining_class.find(point);
    return found == combining_class.end() ? 0 : found->second;
  }
  // 0: they do not compose.
  char32_t Compose(char32_t first, char32_t second) const {
    if (first - kLead < kLeads && second - kVowel < kVowels) {
      return kSyllables + ((first - kLead) * kVowels + (second - kVowel)) * kTails;
    }
    if (first - kSyllables < kSyllableCount && (first - kSyllables) % kTails == 0 &&
        second > kTail && second < kTail + kTails) {
      return first + (second - kTail);
    }
    const auto found = compositions.find(uint64_t{first} << 32 | second);
    return found == compositions.end() ? 0 : found->second;
  }
};

const FormTables& Tables() {
  static const auto* const tables = new FormTables;
  return *tables;
}

void AppendDecomposed(char32_t point, bool compatible, std::u32string* out) {
  const FormTables& tables = Tables();
  const char32_t syllable = point - kSyllables;
  if (syllable < kSyllableCount) {
    *out += kLead + syllable / (kVowels * kTails);
    *out += kVowel + syllable % (kVowels * kTails) / kTails;
    if (syllable % kTails != 0) *out += kTail + syllable % kTails;
    return;
  }
  if (compatible) {
    const auto found = tables.compatible.find(point);
    if (found != tables.compatible.end()) return void(*out += found->second);
  }
  const auto found = tables.canonical.find(point);
  if (found == tables.canonical.end()) {
    *out += point;
  } else {
    *out += found->second;
  }
}

// Marks that follow each other are put in the order of their classes.
void Order(std::u32string* points) {
  const FormTables& tables = Tables();
  const auto is_mark = [&](char32_t point) { return tables.ClassOf(point) != 0; };
  for (auto at = points->begin(); at != points->end();) {
    at = std::find_if(at, points->end(), is_mark);
    const auto end = std::find_if_not(at, points->end(), is_mark);
    std::stable_sort(at, end,
                     [&](char32_t a, char32_t b) { return tables.ClassOf(a) < tables.ClassOf(b); });
    at = end;
  }
}

// Unicode 15, section 3.11, D117: a mark joins the last starter unless something between them is no
// starter's mark of a lower class.
void Compose(std::u32string* points) {
  const FormTables& tables = Tables();
  std::u32string out;
  size_t starter = std::u32string::npos;
  int last_class = -1;  // of what was kept after the starter; -1: nothing was
  for (const char32_t point : *points) {
    const int point_class = tables.ClassOf(point);
    if (starter != std::u32string::npos && last_class < point_class) {
      if (const char32_t composed = tables.Compose(out[starter], point)) {
        out[starter] = composed;
        continue;
      }
    }
    if (point_class == 0) {
      starter = out.size();
      last_class = -1;
    } else {
      last_class = point_class;
    }
    out += point;
  }
  *points = std::move(out);
}

// The byte that begins the first code point from U+0300 on is CC.
bool IsBelowMarks(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 0xCC; });
}

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 0x80; });
}

}  // namespace

std::string Normalized(UnicodeForm form, std::string_view text) {
  const bool compatible = form == UnicodeForm::kNfkc || form == UnicodeForm::kNfkd;
  const bool composed = form == UnicodeForm::kNfc || form == UnicodeForm::kNfkc;
  if (IsAscii(text) || (form == UnicodeForm::kNfc && IsBelowMarks(text))) return std::string(text);
  std::u32string points;
  points.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    AppendDecomposed(NextCodePoint(text, &at), compatible, &points);
  }
  Order(&points);
  if (composed) Compose(&points);
  std::string out;
  out.reserve(text.size());
  for (const char32_t point : points) AppendUtf8(point, &out);
  return out;
}

std::string Lowercased(std::string_view text) {
  const FormTables::Mapping& lowercase = Tables().lowercase;
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t point = NextCodePoint(text, &at);
    if (point < 0x80) {
      out += static_cast<char>(point >= 'A' && point <= 'Z' ? point + 32 : point);
      continue;
    }
    const auto found = lowercase.find(point);
    if (found == lowercase.end()) {
      out += text.substr(begin, at - begin);
    } else {
      for (const char32_t lower : found->second) AppendUtf8(lower, &out);
    }
  }
  return out;
}

}  // namespace halcyon::pipeline
