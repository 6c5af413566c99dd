#include "pipeline/tokenizer/unicode/code_point_set.h"

#include <charconv>
#include <map>
#include <string>

#include "base/check.h"
#include "base/mutex.h"
#include "pipeline/tokenizer/unicode/unicode_data.h"

namespace halcyon::pipeline {
namespace {

void AddWords(const UnicodeSection& section, CodePointSet* set) {
  for (std::string_view word : section.words) {
    const char32_t first = TakeHex(&word);
    set->Add(first, word.empty() ? first : TakeHex(&word));
  }
}

class SetTable {
 public:
  const CodePointSet* Find(std::string_view name) {
    MutexLock lock(&mutex_);
    const auto found = sets_.find(name);
    if (found != sets_.end()) return &found->second;
    CodePointSet set;
    if (!Fill(name, &set)) return nullptr;
    return &sets_.emplace(name, std::move(set)).first->second;
  }

 private:
  bool Fill(std::string_view name, CodePointSet* set) const {
    bool known = name == "Cn" || name == "C";
    for (const UnicodeSection& section : sections_) {
      const bool in_group =
          name.size() == 1 && section.name.size() == 2 && section.name[0] == name[0];
      if (section.name != name && !in_group) continue;
      known = true;
      AddWords(section, set);
    }
    if (name == "Cn" || name == "C") {
      CodePointSet all, assigned;
      all.Add(0, kCodePoints - 1);
      assigned.Add(0xD800, 0xDFFF);
      for (const UnicodeSection& section : sections_) {
        if (section.name.size() == 2) AddWords(section, &assigned);
      }
      for (const auto& [first, last] : all.Without(assigned)) set->Add(first, last);
    }
    return known;
  }

  const std::vector<UnicodeSection> sections_ = SectionsOf(kUnicodeProperties);
  Mutex mutex_;
  std::map<std::string, CodePointSet, std::less<>> sets_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

void CodePointSet::Add(char32_t first, char32_t last) {
  HALCYON_CHECK(last < kCodePoints);
  for (char32_t point = first; point <= last; ++point)
    words_[point >> 6] |= uint64_t{1} << (point & 63);
}

std::vector<std::pair<char32_t, char32_t>> CodePointSet::Without(const CodePointSet& other) const {
  std::vector<std::pair<char32_t, char32_t>> ranges;
  for (char32_t point = 0; point < kCodePoints; ++point) {
    if ((words_[point >> 6] & ~other.words_[point >> 6]) == 0) {
      point |= 63;
    } else if (Has(point) && !other.Has(point)) {
      if (!ranges.empty() && ranges.back().second + 1 == point) {
        ranges.back().second = point;
      } else {
        ranges.emplace_back(point, point);
      }
    }
  }
  return ranges;
}

const CodePointSet* FindCodePointSet(std::string_view name) {
  static auto* const table = new SetTable;
  return table->Find(name);
}

const CodePointSet& CodePointSetOf(std::string_view name) {
  const CodePointSet* set = FindCodePointSet(name);
  HALCYON_CHECK(set != nullptr);
  return *set;
}

std::vector<UnicodeSection> SectionsOf(std::string_view data) {
  std::vector<UnicodeSection> sections;
  while (!data.empty()) {
    std::string_view line = data.substr(0, data.find('\n'));
    data.remove_prefix(std::min(line.size() + 1, data.size()));
    if (line.empty() || line[0] == '#') continue;
    if (line[0] != ' ') {
      sections.push_back({line, {}});
      continue;
    }
    while (!line.empty()) {
      const size_t begin = line.find_first_not_of(' ');
      if (begin == std::string_view::npos) break;
      line.remove_prefix(begin);
      const std::string_view word = line.substr(0, line.find(' '));
      sections.back().words.push_back(word);
      line.remove_prefix(word.size());
    }
  }
  return sections;
}

char32_t TakeHex(std::string_view* word) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(word->data(), word->data() + word->size(), value, 16);
  HALCYON_CHECK(error == std::errc());
  word->remove_prefix(std::min(word->size(), static_cast<size_t>(end - word->data()) + 1));
  return value;
}

}  // namespace halcyon::pipeline
