#include "base/status.h"

#include <cerrno>
#include <cstring>

namespace halcyon {

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  return MakeStatus(status.code(), std::string(context) + ": " + MessageOf(status));
}

absl::Status ErrnoStatus(int error, std::string_view what) {
  absl::StatusCode code = absl::StatusCode::kInternal;
  if (error == ENOSPC || error == EDQUOT) code = absl::StatusCode::kResourceExhausted;
  if (error == ENOENT) code = absl::StatusCode::kNotFound;
  return MakeStatus(code, std::string(what) + ": " + std::strerror(error));
}

}  // namespace halcyon
