// Files that several processes may write at the same time, on several hosts too.
#ifndef HALCYON_BASE_SHARED_FILE_H_
#define HALCYON_BASE_SHARED_FILE_H_

#include <string>
#include <string_view>

#include "base/env.h"
#include "base/status.h"

namespace halcyon {

// As WriteFileAtomically, each writer by way of a temporary file of its own:
// path.HOST-PID-NUMBER.tmp. The last one's rename stays.
absl::Status WriteSharedFile(Env& env, const std::string& path, std::string_view bytes,
                             Durability durability);

}  // namespace halcyon

#endif  // HALCYON_BASE_SHARED_FILE_H_
