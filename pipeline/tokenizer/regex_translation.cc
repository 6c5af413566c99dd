#include "pipeline/tokenizer/regex_translation.h"

#include <fmt/format.h>

#include <cctype>
#include <map>

#include "base/mutex.h"
#include "pipeline/tokenizer/pcre2_property.h"
#include "pipeline/tokenizer/unicode/code_point_set.h"

namespace halcyon::pipeline {
namespace {

using PointRanges = std::vector<std::pair<char32_t, char32_t>>;

std::string SpellRanges(const PointRanges& ranges) {
  std::string out;
  for (const auto& [first, last] : ranges) {
    out += fmt::format("\\x{{{:X}}}", static_cast<uint32_t>(first));
    if (last > first) out += fmt::format("-\\x{{{:X}}}", static_cast<uint32_t>(last));
  }
  return out;
}

// How a set is written inside []: what is in it, and what is not.
struct SetSpelling {
  std::string inside, outside;
  std::string plain_inside, plain_outside;  // in PCRE2's own terms
  PointRanges differing;                    // from those
};

SetSpelling Explicit(const CodePointSet& set) {
  CodePointSet all;
  all.Add(0, kCodePoints - 1);
  const std::string inside = SpellRanges(set.Without({})), outside = SpellRanges(all.Without(set));
  return {inside, outside, inside, outside, {}};
}

// PCRE2's own property is faster than ranges, and few code points differ from it.
SetSpelling Property(const std::string& name, const CodePointSet& set) {
  static Mutex mutex;
  static auto* const known = new std::map<std::string, SetSpelling>;
  MutexLock lock(&mutex);
  const auto found = known->find(name);
  if (found != known->end()) return found->second;
  const CodePointSet theirs = Pcre2Property(name);
  const PointRanges missing = set.Without(theirs), surplus = theirs.Without(set);
  SetSpelling spelling = Explicit(set);
  if (surplus.empty()) spelling.inside = "\\p{" + name + "}" + SpellRanges(missing);
  if (missing.empty()) spelling.outside = "\\P{" + name + "}" + SpellRanges(surplus);
  spelling.plain_inside = "\\p{" + name + "}";
  spelling.plain_outside = "\\P{" + name + "}";
  spelling.differing = missing;
  spelling.differing.insert(spelling.differing.end(), surplus.begin(), surplus.end());
  return known->emplace(name, spelling).first->second;
}

class Translator {
 public:
  Translator(std::string_view regex, RegexDialect dialect) : regex_(regex), dialect_(dialect) {}

  absl::StatusOr<TranslatedRegex> Run() {
    while (at_ < regex_.size()) {
      if (in_class_) {
        RETURN_IF_ERROR(ClassCharacter());
      } else {
        RETURN_IF_ERROR(Character());
      }
    }
    return std::move(out_);
  }

 private:
  char Peek(size_t ahead) const { return at_ + ahead < regex_.size() ? regex_[at_ + ahead] : '\0'; }
  absl::Status Refuse(const std::string& what) const {
    return InvalidArgument(fmt::format("{} is not supported (at byte {})", what, at_));
  }
  void Copy(size_t bytes) {
    out_.exact += regex_.substr(at_, bytes);
    out_.plain += regex_.substr(at_, bytes);
    at_ += bytes;
  }

  absl::Status ClassCharacter() {
    const char c = Peek(0);
    if (c == '\\') return Escape();
    if (c == '[' || (c == '&' && Peek(1) == '&') ||
        (dialect_ == RegexDialect::kFancyRegex && (c == '-' || c == '~') && Peek(1) == c)) {
      return Refuse("a set inside []");
    }
    if (c == ']') in_class_ = false;
    Copy(1);
    return absl::OkStatus();
  }

  absl::Status Character() {
    const bool ruby = dialect_ == RegexDialect::kOniguruma;
    switch (Peek(0)) {
      case '\\':
        return Escape();
      case '[':
        in_class_ = true;
        Copy(Peek(1) == '^' ? 2 : 1);
        // A ] that comes first would be a member for PCRE2 alone.
        return Peek(0) == ']' ? Refuse("[] without members") : absl::OkStatus();
      case '^':
      case '$':  // in Ruby at the ends of lines
        if (ruby) return Refuse(fmt::format("{} outside []", Peek(0)));
        break;
      case '(':
        return Group();
      case '{':
        if (Peek(1) == ',') return Refuse("{,n}");
        if (ruby) RETURN_IF_ERROR(CheckInterval());
        break;
    }
    Copy(1);
    return absl::OkStatus();
  }

  // A + after an interval repeats it in Ruby; elsewhere it makes it possessive.
  absl::Status CheckInterval() const {
    const size_t end = regex_.find('}', at_);
    if (end != std::string_view::npos && end + 1 < regex_.size() && regex_[end + 1] == '+') {
      return Refuse("{m,n}+");
    }
    return absl::OkStatus();
  }

  absl::Status Group() {
    if (Peek(1) != '?') {
      if (Peek(1) == '*') return Refuse("(*");
      Copy(1);
      return absl::OkStatus();
    }
    for (const std::string_view known :
         {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?-i:", "(?i)"}) {
      if (!regex_.substr(at_).starts_with(known)) continue;
      Copy(known.size());
      return absl::OkStatus();
    }
    return Refuse(std::string(regex_.substr(at_, 4)) + "...");
  }

  absl::Status Escape() {
    const char c = Peek(1);
    switch (c) {
      case 'p':
      case 'P':
        return PropertyEscape();
      case 'd':
      case 'D':
        return Put("Nd", c == 'D', 2);
      case 's':
      case 'S':
        return Put("White_Space", c == 'S', 2);
      case 'x':
        return HexEscape();
      case 'A':
      case 'z':
        if (in_class_) return Refuse(fmt::format("the escape \\{} inside []", c));
        break;
      case 'r':
      case 'n':
      case 't':
      case 'f':
        break;
      case '\0':
        return Refuse("\\ at the end");
      default:
        if (std::isalnum(static_cast<unsigned char>(c))) {
          return Refuse(fmt::format("the escape \\{}", c));
        }
    }
    Copy(2);
    return absl::OkStatus();
  }

  // \x{H...}; \xHH is a byte in Ruby, so only where that is a character.
  absl::Status HexEscape() {
    if (Peek(2) != '{') {
      if (Peek(2) < '0' || Peek(2) > '7') return Refuse("\\x without {}, from 80 on,");
      Copy(4);
      return absl::OkStatus();
    }
    const size_t end = regex_.find('}', at_);
    if (end == std::string_view::npos) return Refuse("\\x{ without an end");
    Copy(end + 1 - at_);
    return absl::OkStatus();
  }

  absl::Status PropertyEscape() {
    bool negated = Peek(1) == 'P';
    size_t bytes = 3;
    std::string_view name = regex_.substr(std::min(at_ + 2, regex_.size()), 1);
    if (name == "{") {
      const size_t end = regex_.find('}', at_);
      if (end == std::string_view::npos) return Refuse("\\p{ without an end");
      name = regex_.substr(at_ + 3, end - at_ - 3);
      bytes = end + 1 - at_;
      if (name.starts_with('^')) {
        negated = !negated;
        name.remove_prefix(1);
      }
    } else if (dialect_ == RegexDialect::kOniguruma) {
      return Refuse("\\p without {}");
    }
    if (name.empty() || name.size() > 2) return Refuse(fmt::format("\\p{{{}}}", name));
    return Put(std::string(name), negated, bytes);
  }

  // The set in place of an escape of `bytes` bytes.
  absl::Status Put(const std::string& name, bool negated, size_t bytes) {
    const CodePointSet* const set = FindCodePointSet(name);
    if (set == nullptr) return Refuse("\\p{" + name + "}");
    at_ += bytes;
    // PCRE2's \s is another set than the property, which it has no name for.
    const SetSpelling spelling = name == "White_Space" ? Explicit(*set) : Property(name, *set);
    if (in_class_) {
      out_.exact += negated ? spelling.outside : spelling.inside;
      out_.plain += negated ? spelling.plain_outside : spelling.plain_inside;
    } else {
      const std::string begin = negated ? "[^" : "[";
      out_.exact += begin + spelling.inside + "]";
      out_.plain += begin + spelling.plain_inside + "]";
    }
    for (const auto& [first, last] : spelling.differing) out_.differing.Add(first, last);
    return absl::OkStatus();
  }

  const std::string_view regex_;
  const RegexDialect dialect_;
  size_t at_ = 0;
  bool in_class_ = false;
  TranslatedRegex out_;
};

}  // namespace

absl::StatusOr<TranslatedRegex> ToPcre2(std::string_view regex, RegexDialect dialect) {
  return Translator(regex, dialect).Run();
}

}  // namespace halcyon::pipeline
