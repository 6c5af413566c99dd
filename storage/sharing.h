// A state folder that a group shares on purpose (docs/state_folder.md): what is in it belongs to
// the group and has its setgid bit, so that files of one member can be read, and those of stages be
// gone on with, by the others.
//
//   HOME, artifacts, claims, sources, work, and all below   2770, files 0640 or 0660
//   jobs                                                    3770: an entry is its maker's
//   jobs/JOB and all below                                  2750, files 0640: a job is its user's
//   format, sharing.json, cluster.toml                      0640
//   contact.json, curve.json, socket of a job               0600: never shared
#ifndef HALCYON_STORAGE_SHARING_H_
#define HALCYON_STORAGE_SHARING_H_

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "storage/home.h"

namespace halcyon::storage {

// The folders that every state folder has.
inline constexpr const char* kHomeFolders[] = {"artifacts", "claims", "jobs", "sources", "work"};

struct Sharing {
  std::string group;
  gid_t gid = 0;
};

// Of HOME/sharing.json; nullopt: the folder is not shared. kDataLoss: it cannot be understood.
absl::StatusOr<std::optional<Sharing>> ReadSharing(const HomeLayout& home);

// For whoever will write into it. In a folder that is shared sets this process's umask to 0007.
// kFailedPrecondition, with what to do: it is shared and a folder has another group or mode, or it
// is not shared and others may write into it.
absl::Status UseSharing(const HomeLayout& home);

struct SharingResult {
  Sharing sharing;
  // Entries that belong to other users and were left as they are: these give them the same rights.
  size_t left = 0;
  // Folders above that members cannot pass.
  std::vector<std::string> closed_above;
};
// Shares the folder and all in it with a group, given by name or number; also repairs one that is
// shared. kInvalidArgument: no such group, one that this user is not in, or another user's folder.
absl::StatusOr<SharingResult> ShareHome(const HomeLayout& home, const std::string& group);

// Takes the group's rights away. kFailedPrecondition, and nothing is changed, when something in the
// folder belongs to another user.
absl::Status UnshareHome(const HomeLayout& home);

// For who is about to run or submit a job: in a shared folder makes the job's folder, to which only
// its user may write. kFailedPrecondition: the job is another user's.
absl::Status OwnJobFolder(Env& env, const HomeLayout& home, const std::string& job_id);
// In a shared folder, kFailedPrecondition when the job is another user's.
// `what`: "cancel", for the message.
absl::Status CheckIsOwnJob(const HomeLayout& home, const std::string& job_id,
                           const std::string& what);

// "anna", or the number of a user without a name.
std::string UserName(uid_t uid);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_SHARING_H_
