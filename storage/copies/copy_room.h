// Room for another copy of a generation (host_copy.h), by removing old ones.
#ifndef HALCYON_STORAGE_COPIES_COPY_ROOM_H_
#define HALCYON_STORAGE_COPIES_COPY_ROOM_H_

#include <string>

#include "base/status.h"
#include "storage/copies/host_copy.h"

namespace halcyon::storage {

// kResourceExhausted unless `needed`, and kCopyRoomLeftBytes beside it, are free in `folder`.
absl::Status CheckRoomForCopy(const std::string& folder, const DiskRoom& needed,
                              const CopyOptions& options);

// Makes CheckRoomForCopy true, if it can, by removing copies in `folder` (FOLDER/halcyon-UID) that
// no process uses: those that are not whole first, then the least recently used. Removes none when
// all of them would not do. REQUIRES: the caller holds FOLDER/halcyon-UID/lock.
absl::Status MakeRoomForCopy(const std::string& folder, const DiskRoom& needed,
                             const CopyOptions& options);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_COPIES_COPY_ROOM_H_
