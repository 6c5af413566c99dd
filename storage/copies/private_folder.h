// A folder of this user alone in a folder that users of a machine share, such as /tmp.
#ifndef HALCYON_STORAGE_COPIES_PRIVATE_FOLDER_H_
#define HALCYON_STORAGE_COPIES_PRIVATE_FOLDER_H_

#include <string>

#include "base/status.h"

namespace halcyon::storage {

// DIR/halcyon-UID, made with mode 0700 if there is none. `dir` must exist. kFailedPrecondition,
// with what to do: the folder is a symbolic link, another user's or open to others; or other users
// could put another one in its place, since `dir` is theirs, or is writable for them and not
// sticky.
absl::StatusOr<std::string> OpenPrivateFolder(const std::string& dir);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_COPIES_PRIVATE_FOLDER_H_
