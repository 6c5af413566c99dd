// What the parsers of files of ids guarantee for all bytes; shared by the fuzzer and the mutation
// test of every build. A broken promise aborts, or is seen by the address sanitizer.
#ifndef HALCYON_TESTS_FUZZ_TOKEN_FILE_PARSER_H_
#define HALCYON_TESTS_FUZZ_TOKEN_FILE_PARSER_H_

#include <algorithm>
#include <string>
#include <string_view>

#include "base/check.h"
#include "pipeline/token_files/megatron_index.h"
#include "pipeline/token_files/token_layout.h"

namespace halcyon::pipeline {

// True when accepted; then the ids fill the file from where they begin.
inline bool CheckTokenLayoutParser(std::string_view bytes, jobs::TokenType type) {
  const auto layout = ParseTokenLayout("f", bytes.substr(0, kLayoutBytes), bytes.size(), type);
  if (!layout.ok()) {
    HALCYON_CHECK(layout.status().code() == absl::StatusCode::kInvalidArgument);
    return false;
  }
  HALCYON_CHECK(layout->begin <= bytes.size() && std::has_single_bit(layout->type.bytes));
  const uint64_t ids = bytes.size() - layout->begin;
  HALCYON_CHECK(ids % layout->type.bytes == 0 && ids / layout->type.bytes == layout->count);
  return true;
}

// True when accepted; then the documents are one after another. An index that Check refuses is
// asked, too: it answers or refuses.
inline bool CheckMegatronIndexParser(std::string_view bytes) {
  auto index = MegatronIndex::Parse("i", bytes.size(), [bytes](uint64_t offset, uint64_t size) {
    HALCYON_CHECK(offset <= bytes.size() && size <= bytes.size() - offset);
    return absl::StatusOr<std::string>(bytes.substr(offset, size));
  });
  if (!index.ok()) {
    HALCYON_CHECK(index.status().code() == absl::StatusCode::kInvalidArgument);
    return false;
  }
  const absl::Status checked = index->Check();
  HALCYON_CHECK(checked.ok() || checked.code() == absl::StatusCode::kInvalidArgument);
  HALCYON_CHECK(index->documents() <= bytes.size());
  uint64_t before = 0;
  for (uint64_t document = 0; document <= index->documents(); ++document) {
    const auto start = index->Start(document);
    HALCYON_CHECK(start.ok() || !checked.ok());
    if (!checked.ok()) continue;
    HALCYON_CHECK(*start >= before && *start % index->type().bytes == 0);
    before = *start;
    const auto first = index->FirstFrom(*start);
    HALCYON_CHECK(first.ok() && *first <= document && *index->Start(*first) == *start);
  }
  if (checked.ok()) {
    HALCYON_CHECK(*index->Bytes() == before);
  } else {
    (void)index->FirstFrom(bytes.size() / 2);
    (void)index->Bytes();
  }
  return checked.ok();
}

}  // namespace halcyon::pipeline

#endif  // HALCYON_TESTS_FUZZ_TOKEN_FILE_PARSER_H_
