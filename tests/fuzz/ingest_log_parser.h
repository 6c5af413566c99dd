// What the parser of an ingest log guarantees for all bytes; shared by the fuzzer and the mutation
// test of every build. A broken promise aborts.
#ifndef HALCYON_TESTS_FUZZ_INGEST_LOG_PARSER_H_
#define HALCYON_TESTS_FUZZ_INGEST_LOG_PARSER_H_

#include <string_view>

#include "base/check.h"
#include "storage/ingest_log.h"
#include "tests/fuzz/record_lines.h"

namespace halcyon::storage {

// True when accepted; then every file is a plain name, and no shard is in two files.
inline bool CheckIngestLogParser(std::string_view text) {
  const auto history = ParseIngestLog(text);
  if (!history.ok()) {
    HALCYON_CHECK(absl::IsDataLoss(history.status()) ||
                  absl::IsFailedPrecondition(history.status()));
    return false;
  }
  uint64_t next = 0;
  for (const auto& [first, file] : history->files) {
    HALCYON_CHECK(!file.shards.empty() && first == file.first() && first >= next);
    HALCYON_CHECK(file.last() - file.first() + 1 == file.shards.size());
    HALCYON_CHECK(file.name.find('/') == file.name.npos && file.name.ends_with(".sst"));
    next = uint64_t{file.last()} + 1;
  }
  return true;
}

}  // namespace halcyon::storage

#endif  // HALCYON_TESTS_FUZZ_INGEST_LOG_PARSER_H_
