#include "pipeline/tokenizer/split_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <limits>
#include <utility>

#include "base/check.h"

namespace halcyon::pipeline {
namespace {

constexpr size_t kJitStackBytesStart = 32 << 10;
constexpr size_t kJitStackBytesMax = 8 << 20;

#define HALCYON_CONTRACTIONS R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"

// The published expressions of the models they are named after. cl100k differs from llama3 in the
// white space at the end of a text alone.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kPatterns = {{
    {"gpt2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
    {"llama3", HALCYON_CONTRACTIONS
     R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"cl100k",
     HALCYON_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
                          R"(|\s+\z|\s*[\r\n]|\s+(?!\S)|\s)"},
    {"o200k",
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)" HALCYON_CONTRACTIONS
     R"(?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)" HALCYON_CONTRACTIONS
     R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
}};

#undef HALCYON_CONTRACTIONS

// The White_Space property. PCRE2's own \s has U+180E besides, which left the property in
// Unicode 6.3.
constexpr std::string_view kWhiteSpace =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

// Escapes that mean the same in PCRE2 and in the libraries that tokenizer files are written for.
constexpr std::string_view kEscapes = "sSpPdDrntfxzA";

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Rewrites \s and \S; refuses what would silently mean something else.
absl::StatusOr<std::string> ToPcre2(std::string_view regex) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < regex.size(); ++i) {
    const char c = regex[i];
    const char next = i + 1 < regex.size() ? regex[i + 1] : '\0';
    if (c == '\\') {
      if (IsLetter(next) && kEscapes.find(next) == std::string_view::npos) {
        return InvalidArgument(std::string("the escape \\") + next + " is not supported");
      }
      ++i;
      if (next == 's') {
        out.append(in_class ? "" : "[").append(kWhiteSpace).append(in_class ? "" : "]");
      } else if (next == 'S') {
        if (in_class) return InvalidArgument("\\S inside [] is not supported");
        out.append("[^").append(kWhiteSpace).append("]");
      } else {
        out += c;
        if (next != '\0') out += next;
      }
      continue;
    }
    if (in_class && (c == '[' || (c == '&' && next == '&'))) {
      return InvalidArgument("a set inside [] is not supported");
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    out += c;
  }
  return out;
}

}  // namespace

absl::StatusOr<std::string> PatternByName(std::string_view name) {
  std::string names;
  for (const auto& [known, regex] : kPatterns) {
    if (known == name) return std::string(regex);
    names.append(names.empty() ? "" : ", ").append(known);
  }
  return InvalidArgument("no pre-tokenizer pattern \"" + std::string(name) + "\": take one of " +
                         names);
}

struct SplitPattern::Code {
  pcre2_code* code = nullptr;
  ~Code() { pcre2_code_free(code); }
};

SplitPattern::SplitPattern(std::string regex, std::unique_ptr<Code> code)
    : regex_(std::move(regex)), code_(std::move(code)) {}
SplitPattern::~SplitPattern() = default;

absl::StatusOr<std::shared_ptr<const SplitPattern>> SplitPattern::Compile(
    const std::string& regex) {
  const std::string what = "pre-tokenizer pattern " + regex;
  ASSIGN_OR_RETURN(const std::string translated, ToPcre2(regex), what);
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto code = std::make_unique<Code>();
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
                             &error, &offset, nullptr);
  if (code->code == nullptr) {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    return InvalidArgument(what + ": " + reinterpret_cast<const char*>(message.data()));
  }
  // Where the system forbids executable memory this fails and pcre2_match interprets instead.
  pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE);
  return std::shared_ptr<const SplitPattern>(new SplitPattern(regex, std::move(code)));
}

struct PieceSplitter::State {
  pcre2_match_data* match = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;
  ~State() {
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

PieceSplitter::PieceSplitter(std::shared_ptr<const SplitPattern> pattern)
    : pattern_(std::move(pattern)), state_(std::make_unique<State>()) {
  state_->match = pcre2_match_data_create_from_pattern(pattern_->code_->code, nullptr);
  state_->context = pcre2_match_context_create(nullptr);
  state_->stack = pcre2_jit_stack_create(kJitStackBytesStart, kJitStackBytesMax, nullptr);
  HALCYON_CHECK(state_->match != nullptr && state_->context != nullptr && state_->stack != nullptr);
  pcre2_jit_stack_assign(state_->context, nullptr, state_->stack);
  // A piece may be as long as the text; the default limit is for untrusted patterns.
  pcre2_set_match_limit(state_->context, std::numeric_limits<uint32_t>::max());
}

PieceSplitter::~PieceSplitter() = default;

void PieceSplitter::Start(std::string_view text) {
  text_ = text;
  at_ = match_begin_ = match_end_ = 0;
}

void PieceSplitter::FindMatch() {
  const int result =
      pcre2_match(pattern_->code_->code, reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(),
                  at_, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, state_->match, state_->context);
  if (result < 0) {
    match_begin_ = match_end_ = text_.size();
    return;
  }
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(state_->match);
  match_begin_ = range[0];
  match_end_ = range[1];
}

bool PieceSplitter::Next(std::string_view* piece) {
  if (at_ == text_.size()) return false;
  if (match_end_ <= at_) FindMatch();
  const size_t end = match_begin_ > at_ ? match_begin_ : match_end_;
  *piece = text_.substr(at_, end - at_);
  at_ = end;
  return true;
}

}  // namespace halcyon::pipeline
