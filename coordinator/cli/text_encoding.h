// Encodes the documents of one file, whatever their number and length, on several threads.
#ifndef HALCYON_COORDINATOR_CLI_TEXT_ENCODING_H_
#define HALCYON_COORDINATOR_CLI_TEXT_ENCODING_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"
#include "pipeline/tokenizer.h"

namespace halcyon::coordinator {

struct EncodedText {
  std::vector<uint32_t> ids;     // of all documents, in order
  std::vector<uint32_t> counts;  // ids of each document
  uint64_t invalid_utf8 = 0;     // byte sequences replaced by U+FFFD
};

// kText: all of `bytes` is one document, nothing added or taken away. kJsonl: the documents that a
// job reads from such a file (pipeline/sources/json_lines.h); kInvalidArgument names
// `file_name`:line.
absl::StatusOr<EncodedText> EncodeText(std::shared_ptr<const pipeline::Tokenizer> tokenizer,
                                       std::string_view bytes, jobs::DataFormat format,
                                       const std::string& field, const std::string& file_name,
                                       int64_t threads);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CLI_TEXT_ENCODING_H_
