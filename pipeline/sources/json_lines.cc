#include "pipeline/sources/json_lines.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "pipeline/quote_bytes.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr size_t kEscapeBytes = 6;  // \uXXXX

// The four digits of the escape \uXXXX at `at`; nullopt when there is no such escape.
std::optional<uint32_t> CodeUnitAt(std::string_view text, size_t at) {
  if (at + kEscapeBytes > text.size() || text[at] != '\\' || text[at + 1] != 'u') return {};
  uint32_t unit = 0;
  for (size_t i = at + 2; i < at + kEscapeBytes; ++i) {
    const char c = text[i];
    uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      digit = c - 'a' + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = c - 'A' + 10;
    } else {
      return {};
    }
    unit = unit << 4 | digit;
  }
  return unit;
}

bool IsFirstHalf(uint32_t unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
bool IsSecondHalf(uint32_t unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

// Bytes of a string up to its closing quote. REQUIRES: `from` is after the opening one of a string
// that is closed within `text`.
std::string_view StringBody(std::string_view text, size_t from) {
  size_t quote = text.find('"', from), at = from;
  while (quote != text.npos) {
    at = text.substr(0, quote).find('\\', at);
    if (at == text.npos) break;
    at += 2;
    if (at > quote) quote = text.find('"', at);
  }
  return text.substr(from, std::min(quote, text.size()) - from);
}

absl::Status NotJson(const std::string& why, std::string_view bytes) {
  return InvalidArgument("not JSON: " + why + " at " + QuoteBytes(bytes));
}

}  // namespace

uint64_t ReplaceLoneSurrogates(char* characters, size_t size, size_t* first) {
  const std::string_view text(characters, size);
  uint64_t count = 0;
  for (size_t at = text.find('\\'); at < size; at = text.find('\\', at)) {
    const std::optional<uint32_t> unit = CodeUnitAt(text, at);
    if (!unit) {
      at += 2;
      continue;
    }
    const std::optional<uint32_t> next = CodeUnitAt(text, at + kEscapeBytes);
    if (IsFirstHalf(*unit) && next && IsSecondHalf(*next)) {
      at += 2 * kEscapeBytes;
      continue;
    }
    if (IsFirstHalf(*unit) || IsSecondHalf(*unit)) {
      if (count++ == 0 && first != nullptr) *first = at;
      std::memcpy(characters + at, "\\ufffd", kEscapeBytes);
    }
    at += kEscapeBytes;
  }
  return count;
}

struct JsonLineReader::Parser {
  ondemand::parser parser;
};

// The wanted member's value, where it stands in the buffer.
struct JsonLineReader::Member {
  size_t begin = 0;
  bool is_string = false;
  size_t last = 0;  // of a string: where its closing quote is
};

JsonLineReader::JsonLineReader(std::string field, jobs::InvalidUtf8 invalid_utf8)
    : field_(std::move(field)), invalid_utf8_(invalid_utf8), parser_(std::make_unique<Parser>()) {}

JsonLineReader::~JsonLineReader() = default;

absl::StatusOr<JsonLineReader::Member> JsonLineReader::Find() {
  const std::string_view line(buffer_.data(), size_);
  ondemand::document document;
  const auto fail = [&](simdjson::error_code error) {
    const char* place = nullptr;
    // Where the parser gives no position, the line's beginning shows a person which line it is.
    if (document.current_location().get(place) || place < line.data() ||
        place >= line.data() + line.size()) {
      place = line.data();
    }
    return NotJson(simdjson::error_message(error), line.substr(place - line.data()));
  };
  if (const auto error =
          parser_->parser.iterate(buffer_.data(), size_, buffer_.size()).get(document)) {
    const size_t control = std::find_if(line.begin(), line.end(),
                                        [](char c) { return static_cast<uint8_t>(c) < 0x20; }) -
                           line.begin();
    const bool at_control = error == simdjson::UNESCAPED_CHARS && control < line.size();
    return NotJson(simdjson::error_message(error), line.substr(at_control ? control : 0));
  }
  ondemand::object object;
  if (const auto error = document.get_object().get(object)) {
    if (error != simdjson::INCORRECT_TYPE) return NotJson(simdjson::error_message(error), line);
    return InvalidArgument("the line is not a JSON object: " + QuoteBytes(line));
  }
  std::optional<Member> member;
  for (auto next : object) {
    ondemand::field field;
    if (const auto error = std::move(next).get(field)) return fail(error);
    const std::string_view key = StringBody(line, field.key().raw() - line.data());
    bool wanted = key == field_;
    // A name may be spelt with escapes. One that cannot be unescaped is not the wanted one.
    std::string_view unescaped;
    if (!wanted && key.find('\\') != key.npos && !field.unescaped_key().get(unescaped)) {
      wanted = unescaped == field_;
    }
    if (!wanted) continue;
    const std::string_view token = field.value().raw_json_token();
    const size_t begin = token.data() - line.data();
    // Only white space may follow the closing quote in a token.
    member = Member{begin, token.starts_with('"'), begin + token.rfind('"')};
  }
  // At the end of the line the parser gives no position.
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return fail(simdjson::TRAILING_CONTENT);
  }
  if (!member) {
    return InvalidArgument("no member \"" + field_ +
                           "\": set [data] field to the member that is the text; the line is " +
                           QuoteBytes(line));
  }
  return *member;
}

absl::StatusOr<JsonText> JsonLineReader::Read(std::string_view line) {
  JsonText result;
  if (IsValidUtf8(line)) {
    buffer_.assign(line);
  } else if (invalid_utf8_ == jobs::InvalidUtf8::kRefuse) {
    const size_t at = FirstInvalidUtf8(line);
    return InvalidArgument("invalid UTF-8 at byte " + std::to_string(at) +
                           " of the line: " + QuoteBytes(line.substr(at), 8));
  } else {
    buffer_ = ReplaceInvalidUtf8(line, &result.replaced);
  }
  size_ = buffer_.size();
  buffer_.resize(size_ + simdjson::SIMDJSON_PADDING, ' ');

  ASSIGN_OR_RETURN(const Member member, Find());
  const std::string_view all(buffer_.data(), size_);
  if (!member.is_string) {
    return InvalidArgument("member \"" + field_ +
                           "\" is not a string: " + QuoteBytes(all.substr(member.begin)));
  }
  const std::string_view body = all.substr(member.begin + 1, member.last - member.begin - 1);
  char* const characters = buffer_.data() + member.begin + 1;
  if (body.find("\\u") != body.npos) {
    const std::string before(body);
    size_t first = 0;
    const uint64_t lone = ReplaceLoneSurrogates(characters, body.size(), &first);
    if (lone > 0 && invalid_utf8_ == jobs::InvalidUtf8::kRefuse) {
      return InvalidArgument("half a surrogate pair in member \"" + field_ + "\": " +
                             QuoteBytes(std::string_view(before).substr(first), kEscapeBytes));
    }
    result.replaced += lone;
  }
  text_.resize(std::max(text_.size(), body.size() + simdjson::SIMDJSON_PADDING));
  auto* text = reinterpret_cast<uint8_t*>(text_.data());
  const ondemand::raw_json_string raw(reinterpret_cast<const uint8_t*>(characters));
  if (const auto error = parser_->parser.unescape(raw, text).get(result.text)) {
    return NotJson(simdjson::error_message(error), body);
  }
  return result;
}

}  // namespace halcyon::pipeline
