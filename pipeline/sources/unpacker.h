// Unpacks a stream of gzip members or Zstandard frames.
#ifndef HALCYON_PIPELINE_SOURCES_UNPACKER_H_
#define HALCYON_PIPELINE_SOURCES_UNPACKER_H_

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/file_kind.h"
#include "base/status.h"

namespace halcyon::pipeline {

// Not thread-safe.
class Unpacker {
 public:
  // REQUIRES: compression is not kNone.
  static std::unique_ptr<Unpacker> Make(Compression compression);
  virtual ~Unpacker() = default;

  // Removes from `packed` what it has used, and writes up to `size` bytes to `output`; returns how
  // many. It has used all of `packed` unless it has written `size` bytes. kDataLoss: damaged, or
  // followed by something else.
  virtual absl::StatusOr<size_t> Unpack(std::string_view* packed, char* output, size_t size) = 0;
  // Whether what was used ends where a member or frame does: the stream may end here.
  virtual bool is_complete() const = 0;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SOURCES_UNPACKER_H_
