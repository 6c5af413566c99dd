// What the parser of a sample log guarantees for all bytes; shared by the fuzzer and the mutation
// test of every build. A broken promise aborts.
#ifndef HALCYON_TESTS_FUZZ_SAMPLE_LOG_PARSER_H_
#define HALCYON_TESTS_FUZZ_SAMPLE_LOG_PARSER_H_

#include <string_view>

#include "base/check.h"
#include "storage/sample_log.h"
#include "tests/fuzz/record_lines.h"

namespace halcyon::storage {

// True when no line is damaged. Whatever was taken, every lineage of it is without a gap, ends
// where it is asked to, and comes to an end.
inline bool CheckSampleLogParser(std::string_view text) {
  SampleHistory history;
  const absl::Status parsed = ParseSampleLog(text, "samples.log", &history);
  if (!parsed.ok()) {
    HALCYON_CHECK(absl::IsFailedPrecondition(parsed));
    return false;
  }
  for (const SampleLaunch& launch : history.launches) {
    HALCYON_CHECK(launch.ranks > 0);
    const uint64_t asked = launch.steps.empty() ? launch.after : launch.steps.back().step;
    const SampleLineage lineage = LineageOf(history, launch.writer, asked);
    uint64_t before = lineage.unrecorded;
    for (const LineagePart& part : lineage.parts) {
      HALCYON_CHECK(part.first == before + 1 && part.last >= part.first);
      before = part.last;
    }
    HALCYON_CHECK(before == asked);
  }
  return history.damage.empty();
}

}  // namespace halcyon::storage

#endif  // HALCYON_TESTS_FUZZ_SAMPLE_LOG_PARSER_H_
