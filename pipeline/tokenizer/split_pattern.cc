#include "pipeline/tokenizer/split_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/check.h"
#include "pipeline/tokenizer/matchers/published_patterns.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

constexpr size_t kJitStackBytesStart = 32 << 10;
constexpr size_t kJitStackBytesMax = 8 << 20;

constexpr size_t kBlockBytes = 256;

constexpr std::pair<std::string_view, std::string_view> kPatterns[] = {
    {"gpt2", published::kGpt2},
    {"llama3", published::kLlama3},
    {"cl100k", published::kCl100k},
    {"o200k", published::kO200k},
};

// An expression compiled. Immutable; thread-safe.
struct Pcre2Code {
  pcre2_code* exact = nullptr;
  pcre2_code* plain = nullptr;
  CodePointSet differing;   // texts without these may be matched by `plain`
  uint8_t lead_min = 0xFF;  // the first byte of the first of them; 0xFF: there is none
  ~Pcre2Code() {
    pcre2_code_free(exact);
    pcre2_code_free(plain);
  }

  static absl::Status Compile(const std::string& regex, pcre2_code** code);
  pcre2_code* For(std::string_view text) const;
};

absl::Status Pcre2Code::Compile(const std::string& regex, pcre2_code** code) {
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

pcre2_code* Pcre2Code::For(std::string_view text) const {
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

class Pcre2Spans final : public SpanSource {
 public:
  explicit Pcre2Spans(std::shared_ptr<const Pcre2Code> pattern)
      : pattern_(std::move(pattern)),
        match_(pcre2_match_data_create_from_pattern(pattern_->exact, nullptr)),
        context_(pcre2_match_context_create(nullptr)),
        stack_(pcre2_jit_stack_create(kJitStackBytesStart, kJitStackBytesMax, nullptr)) {
    HALCYON_CHECK(match_ != nullptr && context_ != nullptr && stack_ != nullptr);
    pcre2_jit_stack_assign(context_, nullptr, stack_);
    // A piece may be as long as the text; the default limit is for untrusted patterns.
    pcre2_set_match_limit(context_, std::numeric_limits<uint32_t>::max());
  }
  ~Pcre2Spans() override {
    pcre2_match_data_free(match_);
    pcre2_match_context_free(context_);
    pcre2_jit_stack_free(stack_);
  }

  void Start(std::string_view text) override {
    text_ = text;
    code_ = pattern_->For(text);
    at_ = from_ = match_begin_ = 0;
    match_end_ = std::string_view::npos;
    has_match_ = false;
  }

  bool NextSpan(Span* span) override {
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

 private:
  bool FindMatch() {
    while (from_ <= text_.size()) {
      const int result = pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text_.data()),
                                     text_.size(), from_, PCRE2_NO_UTF_CHECK, match_, context_);
      if (result < 0) break;
      const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match_);
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

  const std::shared_ptr<const Pcre2Code> pattern_;
  pcre2_match_data* const match_;
  pcre2_match_context* const context_;
  pcre2_jit_stack* const stack_;
  const pcre2_code* code_ = nullptr;  // the pattern's, for this text
  std::string_view text_;
  size_t at_ = 0;    // the text before it has been returned
  size_t from_ = 0;  // where the next match is looked for; beyond the text: no more
  bool has_match_ = false;
  size_t match_begin_ = 0;
  size_t match_end_ = 0;
};

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

absl::StatusOr<SpanPattern> CompileByPcre2(const std::string& regex, RegexDialect dialect) {
  const std::string what = "pre-tokenizer pattern " + regex;
  ASSIGN_OR_RETURN(TranslatedRegex translated, ToPcre2(regex, dialect), what);
  auto code = std::make_shared<Pcre2Code>();
  RETURN_IF_ERROR(Pcre2Code::Compile(translated.exact, &code->exact), what);
  RETURN_IF_ERROR(Pcre2Code::Compile(translated.plain, &code->plain), what);
  code->differing = std::move(translated.differing);
  if (const auto ranges = code->differing.Without({}); !ranges.empty()) {
    std::string first;
    AppendUtf8(ranges.front().first, &first);
    code->lead_min = static_cast<uint8_t>(first[0]);
  }
  return SpanPattern([code] { return std::make_unique<Pcre2Spans>(code); });
}

absl::StatusOr<SpanPattern> CompilePattern(const std::string& regex, RegexDialect dialect) {
  if (SpanPattern matcher = MatcherOf(regex, dialect)) return matcher;
  return CompileByPcre2(regex, dialect);
}

}  // namespace halcyon::pipeline
