// The documents of a range of a file of ids.
#ifndef HALCYON_PIPELINE_TOKEN_FILES_TOKEN_DOCUMENTS_H_
#define HALCYON_PIPELINE_TOKEN_FILES_TOKEN_DOCUMENTS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "jobs/job_spec.h"
#include "pipeline/sources/shard_plan.h"
#include "pipeline/tokenizer.h"

namespace halcyon::pipeline {

struct TokenCounts {
  uint64_t documents = 0;
  uint64_t tokens = 0;     // of documents
  uint64_t ends = 0;       // ids that ended one
  uint64_t zero_ids = 0;   // ids 0
  uint64_t file_ids = 0;   // of the whole file
  uint64_t range_ids = 0;  // of the range, ends included
};

// By id, whether the tokenizer has a token of it.
std::vector<bool> KnownIds(const Tokenizer& tokenizer);

// `done`: how much of the range has been visited then, 0 ... 1.
using TokenVisitor = std::function<absl::Status(std::span<const uint32_t> ids, double done)>;

// Calls `visit` with the ids of each document of a range in order; the view lives during the call.
// Documents end at data.end_of_document, which is left out, and where the index says; those without
// ids are skipped. Holds the range's bytes and 4 bytes for each id.
// Errors: the file is gone, or its bytes or index are not those planned (kFailedPrecondition:
// "changed while the job ran"); an id that is not among the `known` and is not end_of_document
// (kInvalidArgument: file, number of the id, byte); a document of 2^32 - 1 ids. An error from
// `visit` ends it.
absl::StatusOr<TokenCounts> ReadTokenDocuments(Env& env, const jobs::DataSpec& data,
                                               const SourceRange& range,
                                               const std::vector<bool>& known,
                                               const TokenVisitor& visit);

// A warning for a person when the range's ids look wrong: end_of_document ends nothing in the whole
// file, or so many ids are 0 that they have twice as many bytes. "" otherwise.
std::string WarningOf(const jobs::DataSpec& data, const SourceRange& range,
                      const TokenCounts& counts);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKEN_FILES_TOKEN_DOCUMENTS_H_
