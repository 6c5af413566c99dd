// What is made in a folder of a group gets the group's rights of the folder, whatever the umask of
// the process is. A folder of a group is one with the setgid bit, as all folders of a shared state
// folder are (storage/sharing.h); in any other, what is made has the mode that is asked for.
#ifndef HALCYON_BASE_GROUP_RIGHTS_H_
#define HALCYON_BASE_GROUP_RIGHTS_H_

#include <sys/types.h>

#include <string>

#include "base/file_descriptor.h"
#include "base/status.h"

namespace halcyon {

// As FileDescriptor::Open with O_CREAT.
absl::StatusOr<FileDescriptor> CreateFile(const std::string& path, int flags, mode_t mode = 0600);

// A folder of mode 0700; OK when it exists. The folder above must exist.
absl::Status CreateFolder(const std::string& path);

}  // namespace halcyon

#endif  // HALCYON_BASE_GROUP_RIGHTS_H_
