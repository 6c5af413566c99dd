// Where in a file the ids of documents lie and how they are stored.
#ifndef HALCYON_PIPELINE_TOKEN_FILES_TOKEN_LAYOUT_H_
#define HALCYON_PIPELINE_TOKEN_FILES_TOKEN_LAYOUT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/status.h"
#include "jobs/job_spec.h"
#include "pipeline/token_files/id_type.h"

namespace halcyon::pipeline {

struct TokenLayout {
  std::string kind;  // for a person: "a NumPy array of uint16"
  IdType type;
  uint64_t begin = 0;  // of the first id, in bytes; the ids end with the file
  uint64_t count = 0;  // of ids
};

// The most bytes of a file's start that its layout depends on.
inline constexpr uint64_t kLayoutBytes = 10 + 65535;  // NumPy's longest header of version 1.0

// From the first kLayoutBytes of a file without an index, or all of it: a NumPy array of one
// dimension (version 1.0), a file with llm.c's header of 256 int32 (magic 20240520, version 1,
// uint16; or 20240801, version 7, uint32), or ids alone, of type `type`.
// kInvalidArgument: the header is damaged or of another kind, the file's size does not fit it, or
// `type` is kAuto for a file without header. `name` is for messages.
absl::StatusOr<TokenLayout> ParseTokenLayout(const std::string& name, std::string_view start,
                                             uint64_t file_bytes, jobs::TokenType type);

// Of a file; one with an index (jobs/source_names.h) is what that says. kNotFound and the above,
// and what MegatronIndex says of the index.
absl::StatusOr<TokenLayout> ReadTokenLayout(Env& env, const std::string& path,
                                            jobs::TokenType type);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKEN_FILES_TOKEN_LAYOUT_H_
