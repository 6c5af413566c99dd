// A folder that is written as a whole or not at all.
#ifndef HALCYON_WORKER_REFERENCE_WHOLE_FOLDER_H_
#define HALCYON_WORKER_REFERENCE_WHOLE_FOLDER_H_

#include <functional>
#include <string>

#include "base/env.h"
#include "base/status.h"

namespace halcyon::worker {

// Calls `fill` with the path of a new folder beside `to`, then renames it. A folder left unfinished
// by a killed call is removed by the next. A symbolic link `to` stays; the folder that it leads to
// is written. kInvalidArgument when `to` exists and is not empty.
absl::Status WriteWholeFolder(Env& env, std::string to,
                              const std::function<absl::Status(const std::string& dir)>& fill);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_REFERENCE_WHOLE_FOLDER_H_
