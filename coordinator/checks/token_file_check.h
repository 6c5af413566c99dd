// Reads files of ids whole, as the tokens stage will, to say what is in them.
#ifndef HALCYON_COORDINATOR_CHECKS_TOKEN_FILE_CHECK_H_
#define HALCYON_COORDINATOR_CHECKS_TOKEN_FILE_CHECK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "jobs/job_spec.h"
#include "pipeline/tokenizer.h"

namespace halcyon::coordinator {

struct TokenFileFigures {
  std::string path = {}, kind = {};  // kind: "a NumPy array of uint16"
  uint64_t documents = 0;
  uint64_t tokens = 0;         // of documents
  std::string beginning = {};  // of the first document's text, kBeginningShownBytes at most
  // Of the first documents, kDocumentsTried at most: how many were encoded again, and of how many
  // that gave the same ids. Nearly all of a vocabulary's own do.
  uint64_t tried = 0, same = 0;
  std::vector<std::string> warnings = {};
};

inline constexpr size_t kBeginningShownBytes = 200;
inline constexpr uint64_t kDocumentsTried = 20;

// One for each of data.Files() that is no index. Errors as pipeline::Cut and ReadTokenDocuments.
absl::StatusOr<std::vector<TokenFileFigures>> ReadTokenFiles(
    Env& env, const jobs::DataSpec& data,
    const std::shared_ptr<const pipeline::Tokenizer>& tokenizer);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CHECKS_TOKEN_FILE_CHECK_H_
