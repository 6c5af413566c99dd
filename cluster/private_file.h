// Small files that hold secrets: nobody but their owner can read them, at no moment.
#ifndef HALCYON_CLUSTER_PRIVATE_FILE_H_
#define HALCYON_CLUSTER_PRIVATE_FILE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"

namespace halcyon::cluster {

// Replaces the file as a whole; it is made with mode 0600.
absl::Status WritePrivateFile(const std::string& path, std::string_view bytes);

// kNotFound: there is none. kFailedPrecondition, with what to do: it is no regular file, belongs to
// another user, or others may read or write it. kInvalidArgument: more than `bytes_max`.
absl::StatusOr<std::string> ReadPrivateFile(const std::string& path, size_t bytes_max);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_PRIVATE_FILE_H_
