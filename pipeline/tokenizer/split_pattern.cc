#include "pipeline/tokenizer/split_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/check.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

constexpr size_t kJitStackBytesStart = 32 << 10;
constexpr size_t kJitStackBytesMax = 8 << 20;

constexpr size_t kBlockBytes = 256;

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

}  // namespace

std::string CanonicalPatternName(std::string_view name) {
  for (const auto& [other, known] : {std::pair{"r50k_base", "gpt2"},
                                     {"p50k_base", "gpt2"},
                                     {"cl100k_base", "cl100k"},
                                     {"o200k_base", "o200k"}}) {
    if (name == other) return known;
  }
  return std::string(name);
}

absl::StatusOr<std::string> PatternByName(std::string_view name) {
  std::string names;
  for (const auto& [known, regex] : kPatterns) {
    if (known == CanonicalPatternName(name)) return std::string(regex);
    names.append(names.empty() ? "" : ", ").append(known);
  }
  return InvalidArgument("no pre-tokenizer pattern \"" + std::string(name) + "\": take one of " +
                         names);
}

struct SplitPattern::Code {
  pcre2_code* exact = nullptr;
  pcre2_code* plain = nullptr;
  CodePointSet differing;   // texts without these may be matched by `plain`
  uint8_t lead_min = 0xFF;  // the first byte of the first of them; 0xFF: there is none
  ~Code() {
    pcre2_code_free(exact);
    pcre2_code_free(plain);
  }

  static absl::Status Compile(const std::string& regex, pcre2_code** code);
  pcre2_code* For(std::string_view text) const;
};

SplitPattern::SplitPattern(std::string regex, std::unique_ptr<Code> code)
    : regex_(std::move(regex)), code_(std::move(code)) {}
SplitPattern::~SplitPattern() = default;

absl::Status SplitPattern::Code::Compile(const std::string& regex, pcre2_code** code) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  *code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(regex.data()), regex.size(),
                        PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
                        &error, &offset, nullptr);
  if (*code == nullptr) {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    return InvalidArgument(reinterpret_cast<const char*>(message.data()));
  }
  // Where the system forbids executable memory this fails and pcre2_match interprets instead.
  pcre2_jit_compile(*code, PCRE2_JIT_COMPLETE);
  return absl::OkStatus();
}

pcre2_code* SplitPattern::Code::For(std::string_view text) const {
  for (size_t at = 0; at < text.size();) {
    const std::string_view block = text.substr(at, kBlockBytes);
    uint8_t largest = 0;
    for (const char byte : block) largest = std::max(largest, static_cast<uint8_t>(byte));
    if (largest < lead_min) {
      at += block.size();
      continue;
    }
    // The block may begin within a character, whose first byte was looked at before.
    for (const size_t end = at + block.size(); at < end;) {
      if (static_cast<uint8_t>(text[at]) < lead_min) {
        ++at;
      } else if (differing.Has(NextCodePoint(text, &at))) {
        return exact;
      }
    }
  }
  return plain;
}

absl::StatusOr<std::shared_ptr<const SplitPattern>> SplitPattern::Compile(const std::string& regex,
                                                                          RegexDialect dialect) {
  const std::string what = "pre-tokenizer pattern " + regex;
  ASSIGN_OR_RETURN(TranslatedRegex translated, ToPcre2(regex, dialect), what);
  auto code = std::make_unique<Code>();
  RETURN_IF_ERROR(Code::Compile(translated.exact, &code->exact), what);
  RETURN_IF_ERROR(Code::Compile(translated.plain, &code->plain), what);
  code->differing = std::move(translated.differing);
  if (const auto ranges = code->differing.Without({}); !ranges.empty()) {
    std::string first;
    AppendUtf8(ranges.front().first, &first);
    code->lead_min = static_cast<uint8_t>(first[0]);
  }
  return std::shared_ptr<const SplitPattern>(new SplitPattern(regex, std::move(code)));
}

struct PieceSplitter::State {
  const pcre2_code* code = nullptr;  // the pattern's, for this text
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
  state_->match = pcre2_match_data_create_from_pattern(pattern_->code_->exact, nullptr);
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
  state_->code = pattern_->code_->For(text);
  at_ = from_ = match_begin_ = 0;
  match_end_ = std::string_view::npos;
  has_match_ = false;
}

bool PieceSplitter::FindMatch() {
  while (from_ <= text_.size()) {
    const int result =
        pcre2_match(state_->code, reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), from_,
                    PCRE2_NO_UTF_CHECK, state_->match, state_->context);
    if (result < 0) break;
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(state_->match);
    if (range[0] == range[1] && range[1] == match_end_) {
      if (from_ == text_.size()) break;
      NextCodePoint(text_, &from_);
      continue;
    }
    match_begin_ = range[0];
    from_ = match_end_ = range[1];
    return true;
  }
  from_ = text_.size() + 1;
  return false;
}

bool PieceSplitter::NextSpan(Span* span) {
  if (!has_match_) has_match_ = FindMatch();
  if (!has_match_) {
    *span = {at_, text_.size(), false};
    at_ = text_.size();
    return span->begin < span->end;
  }
  if (at_ < match_begin_) {
    *span = {at_, match_begin_, false};
  } else {
    *span = {match_begin_, match_end_, true};
    has_match_ = false;
  }
  at_ = span->end;
  return true;
}

bool PieceSplitter::Next(std::string_view* piece) {
  if (at_ == text_.size()) return false;
  for (Span span; NextSpan(&span);) {
    if (span.begin == span.end) continue;
    *piece = text_.substr(span.begin, span.end - span.begin);
    return true;
  }
  return false;
}

}  // namespace halcyon::pipeline
