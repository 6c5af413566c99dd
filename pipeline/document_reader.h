// From bytes to documents: text files cut by a rule, or JSON lines.
#ifndef HALCYON_PIPELINE_DOCUMENT_READER_H_
#define HALCYON_PIPELINE_DOCUMENT_READER_H_

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/status.h"
#include "jobs/job_spec.h"
#include "pipeline/shard_plan.h"

namespace halcyon::pipeline {

struct ReadCounts {
  uint64_t documents = 0;
  uint64_t bytes = 0;              // of document text, after replacement
  uint64_t invalid_utf8 = 0;       // byte sequences replaced by U+FFFD
  uint64_t invalid_documents = 0;  // documents that had some
};

// Calls `visit` with each document of a shard in order; the view lives during the call. A document
// is its text with the trailing newline(s) removed; documents that are empty or blank are skipped.
// Errors: the file is gone, or its bytes are not those planned (kFailedPrecondition: "changed while
// the job ran"); invalid UTF-8 with "refuse" (kInvalidArgument: file, byte offset); a JSON line
// that does not parse or lacks the field (kInvalidArgument: file:line). An error from `visit` ends
// it.
absl::StatusOr<ReadCounts> ReadDocuments(
    const jobs::DataSpec& data, const SourceShard& shard,
    const std::function<absl::Status(std::string_view text)>& visit);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_DOCUMENT_READER_H_
