// The text of a source from its beginning to its end: the bytes of a plain file, or what a gzip or
// Zstandard file unpacks to. Positions are those of the text.
#ifndef HALCYON_PIPELINE_SOURCES_SOURCE_TEXT_H_
#define HALCYON_PIPELINE_SOURCES_SOURCE_TEXT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "base/digest.h"
#include "base/env.h"
#include "base/status.h"

namespace halcyon::pipeline {

// Not thread-safe.
class SourceText {
 public:
  // Knows a packed file by its first bytes. A file of several gzip members or Zstandard frames is
  // the text of all. `digest`, unless null, is given the bytes of the file as they are read.
  static absl::StatusOr<std::unique_ptr<SourceText>> Open(Env& env, const std::string& path,
                                                          Sha256* digest = nullptr);
  virtual ~SourceText() = default;

  // Whether a position is found only by unpacking what is before it.
  virtual bool is_packed() const = 0;
  // Appends the next bytes to `text`: as many as asked for, fewer at the end only.
  // kFailedPrecondition: the file became shorter; kDataLoss: a packed file is damaged or cut short.
  virtual absl::Status Read(uint64_t bytes, std::string* text) = 0;
  // Goes on `bytes` later, or at the end. The digest lacks what is not read of a plain file.
  virtual absl::Status Skip(uint64_t bytes) = 0;
  virtual bool at_end() const = 0;
};

// The first bytes of a source's text, at most so many; all of it. Errors name the file.
absl::StatusOr<std::string> BeginningOf(Env& env, const std::string& path, uint64_t bytes);
absl::StatusOr<std::string> WholeText(Env& env, const std::string& path);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SOURCES_SOURCE_TEXT_H_
