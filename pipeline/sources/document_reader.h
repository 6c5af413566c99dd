// From bytes to documents: text files cut by a rule, or JSON lines.
#ifndef HALCYON_PIPELINE_SOURCES_DOCUMENT_READER_H_
#define HALCYON_PIPELINE_SOURCES_DOCUMENT_READER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "jobs/job_spec.h"
#include "pipeline/sources/shard_plan.h"

namespace halcyon::pipeline {

struct ReadCounts {
  uint64_t documents = 0;
  uint64_t bytes = 0;              // of document text, after replacement
  uint64_t invalid_utf8 = 0;       // sequences replaced by U+FFFD, lone surrogates of JSON included
  uint64_t invalid_documents = 0;  // documents that had some
  uint64_t bad_documents = 0;      // left out, with [data] bad_documents = "skip"
  std::string first_bad;           // what is wrong with the first of those, and where it stands
  uint64_t zero_bytes = 0;         // in the text: a sign of UTF-16 without its mark
};

// Calls `visit` with each document of a range in order; the view lives during the call. A document
// of a text file is its text with the trailing newline(s) removed, one of a JSON line is what
// pipeline/sources/json_lines.h says; documents that are empty or blank are skipped.
// Errors: the file is gone, or its bytes are not those planned (kFailedPrecondition: "changed while
// the job ran"); a document of 4 GiB; unless bad documents are skipped, invalid UTF-8 with "refuse"
// (kInvalidArgument: file, byte offset) and a JSON line that is no object with the text
// (kInvalidArgument: file:line). An error from `visit` ends it.
absl::StatusOr<ReadCounts> ReadDocuments(
    const jobs::DataSpec& data, const SourceRange& range,
    const std::function<absl::Status(std::string_view text)>& visit);

// A warning for a person when the range's text looks wrong: more than one in a hundred of its bytes
// is replaced or zero, or documents were left out. "" otherwise.
std::string WarningOf(const SourceRange& range, const ReadCounts& counts);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SOURCES_DOCUMENT_READER_H_
