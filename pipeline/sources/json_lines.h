// Reads the text from a line of JSON, for jobs and for `tokenizer encode`.
//
// Of a line only the wanted member is parsed. The others are skipped, so their numbers may be of
// any size and their strings hold anything. Of several members with the wanted name the last
// counts, as in Python and JavaScript. The text is the string's value as it stands, newlines at its
// end included.
#ifndef HALCYON_PIPELINE_SOURCES_JSON_LINES_H_
#define HALCYON_PIPELINE_SOURCES_JSON_LINES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "jobs/job_spec.h"

namespace halcyon::pipeline {

struct JsonText {
  std::string_view text;  // valid UTF-8; lives until the reader's next line
  uint64_t replaced = 0;  // ill-formed sequences and lone surrogates that became U+FFFD
};

// Not thread-safe. Keeps its working memory between lines.
class JsonLineReader {
 public:
  JsonLineReader(std::string field, jobs::InvalidUtf8 invalid_utf8);
  ~JsonLineReader();
  JsonLineReader(const JsonLineReader&) = delete;
  JsonLineReader& operator=(const JsonLineReader&) = delete;

  // kInvalidArgument, with the bytes in question: no JSON object, no such member, none that is a
  // string; with kRefuse also ill-formed UTF-8 in the line and a lone surrogate (\ud83d) in the
  // text.
  absl::StatusOr<JsonText> Read(std::string_view line);

 private:
  struct Member;
  absl::StatusOr<Member> Find();

  const std::string field_;
  const jobs::InvalidUtf8 invalid_utf8_;
  std::string buffer_;  // the line, valid UTF-8, with room after it
  size_t size_ = 0;     // of the line in buffer_
  std::string text_;    // the member's, with room after it
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

// In the characters of a JSON string, without its quotes: writes \ufffd over each escape of half a
// surrogate pair without its other half. Returns how many there were; `first`, unless null,
// receives where the first was.
uint64_t ReplaceLoneSurrogates(char* characters, size_t size, size_t* first = nullptr);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SOURCES_JSON_LINES_H_
