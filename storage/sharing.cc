#include "storage/sharing.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>

#include "storage/strict_json.h"
#include "storage/tree_walk.h"

namespace halcyon::storage {
namespace {

constexpr uint64_t kSharingFormat = 1;
constexpr mode_t kGroupUmask = 0007;
constexpr mode_t kSharedFolder = 02770, kFolderOfJobs = 03770, kFolderOfAJob = 02750;
constexpr mode_t kGroupReads = 0040, kGroupWrites = 0060, kExecutable = 0100;
// The keys of cluster/curve_keys.h and cluster/contact.h, also while they are being written.
constexpr std::string_view kSecrets[] = {"contact.json", "contact.json.tmp", "curve.json",
                                         "curve.json.tmp"};
constexpr std::string_view kFilesOfHome[] = {"cluster.toml", "format", "sharing.json"};

std::string Octal(mode_t mode) {
  char text[16];
  std::snprintf(text, sizeof(text), "%04o", mode & 07777u);
  return text;
}

// Any thread may ask: getgrgid answers in memory that all share.
std::string GroupName(gid_t gid) {
  constexpr size_t kEntryBytesMax = 1 << 16;  // with all members of the group
  std::vector<char> memory(kEntryBytesMax);
  group entry{};
  group* found = nullptr;
  getgrgid_r(gid, &entry, memory.data(), memory.size(), &found);
  return found != nullptr ? found->gr_name : std::to_string(gid);
}

absl::StatusOr<Sharing> FindGroup(const std::string& text) {
  if (const group* found = getgrnam(text.c_str())) return Sharing{found->gr_name, found->gr_gid};
  gid_t gid = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), gid);
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) {
    return Sharing{GroupName(gid), gid};
  }
  return InvalidArgument("there is no group " + text + " on this machine");
}

// What an entry is to be; none: it is left alone.
struct Rights {
  mode_t folder = 0;
  mode_t file = 0;  // of the group
};

Rights RightsBelow(const std::vector<std::string>& path) {
  const bool is_shared = std::any_of(std::begin(kHomeFolders), std::end(kHomeFolders),
                                     [&](const char* name) { return path[0] == name; }) &&
                         path[0] != "jobs";
  if (is_shared) return {kSharedFolder, kGroupWrites};
  if (path == std::vector<std::string>{"jobs"}) return {kFolderOfJobs, 0};
  return {kFolderOfAJob, kGroupReads};
}

bool IsSecret(const TreeEntry& entry) {
  return S_ISREG(entry.info.st_mode) && std::find(std::begin(kSecrets), std::end(kSecrets),
                                                  entry.path.back()) != std::end(kSecrets);
}

absl::Status SetMode(const TreeEntry& entry, gid_t gid, mode_t mode) {
  const bool has_group = entry.info.st_gid == gid;
  if (!has_group && fchown(entry.descriptor, static_cast<uid_t>(-1), gid) != 0) {
    return ErrnoStatus(errno, "cannot give " + PathOf(entry) + " to group " + GroupName(gid));
  }
  if (has_group && (entry.info.st_mode & ALLPERMS) == mode) return absl::OkStatus();
  if (fchmod(entry.descriptor, mode) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, "cannot set the mode of " + PathOf(entry));
}

struct Change {
  Sharing sharing;
  uid_t owner = 0;
  size_t left = 0;
};

absl::Status Share(const TreeEntry& entry, Change* change) {
  const mode_t mode = entry.info.st_mode;
  if (entry.info.st_uid != change->owner) {
    ++change->left;
    return absl::OkStatus();
  }
  if (entry.path.empty()) return SetMode(entry, change->sharing.gid, kSharedFolder);
  const bool is_of_home = entry.path.size() == 1 && S_ISREG(mode);
  const bool is_known = std::find(std::begin(kFilesOfHome), std::end(kFilesOfHome),
                                  entry.path[0]) != std::end(kFilesOfHome);
  if (IsSecret(entry) || (is_of_home && !is_known)) return absl::OkStatus();
  const Rights rights = RightsBelow(entry.path);
  if (S_ISDIR(mode)) return SetMode(entry, change->sharing.gid, rights.folder);
  const mode_t run = (mode & kExecutable) != 0 ? kExecutable | (kExecutable >> 3) : 0;
  return SetMode(entry, change->sharing.gid, (mode & 0600) | rights.file | run);
}

absl::Status Unshare(const TreeEntry& entry) {
  return SetMode(entry, entry.info.st_gid, entry.info.st_mode & 0700);
}

absl::Status CheckOwner(const TreeEntry& entry, uid_t owner) {
  if (entry.info.st_uid == owner) return absl::OkStatus();
  return FailedPrecondition(PathOf(entry) + " belongs to user " + UserName(entry.info.st_uid) +
                            ", who would lose it: the folder stays shared until its jobs are "
                            "removed (halcyon rm) and what is left is moved away");
}

absl::StatusOr<uid_t> OwnerOfHome(const HomeLayout& home) {
  struct stat info;
  if (stat(home.root.c_str(), &info) != 0) {
    return ErrnoStatus(errno, "cannot read the state folder " + home.root);
  }
  if (info.st_uid != geteuid() && geteuid() != 0) {
    return InvalidArgument(home.root + ": belongs to user " + UserName(info.st_uid) +
                           ", who decides with whom it is shared");
  }
  return info.st_uid;
}

bool IsInGroup(gid_t gid) {
  if (geteuid() == 0 || getegid() == gid) return true;
  std::vector<gid_t> groups(static_cast<size_t>(std::max(0, getgroups(0, nullptr))));
  const int count = getgroups(static_cast<int>(groups.size()), groups.data());
  groups.resize(static_cast<size_t>(std::max(0, count)));
  return std::find(groups.begin(), groups.end(), gid) != groups.end();
}

std::vector<std::string> ClosedAbove(const std::string& root, gid_t gid) {
  std::vector<std::string> closed;
  for (std::string path = DirName(root);; path = DirName(path)) {
    struct stat info;
    const bool is_open =
        stat(path.c_str(), &info) == 0 &&
        ((info.st_mode & S_IXOTH) != 0 || (info.st_gid == gid && (info.st_mode & S_IXGRP) != 0));
    if (!is_open) closed.push_back(path);
    if (path == "/" || path == ".") return closed;
  }
}

// Whether a folder of the home is what it should be.
absl::Status CheckFolder(const std::string& path, const std::optional<Sharing>& sharing,
                         mode_t shared_mode, bool is_root) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return absl::OkStatus();  // opening it says so
  const std::string now =
      path + " has mode " + Octal(info.st_mode) + " and group " + GroupName(info.st_gid);
  if (sharing) {
    if (info.st_gid == sharing->gid && (info.st_mode & ALLPERMS) == shared_mode) {
      return absl::OkStatus();
    }
    return FailedPrecondition(now + "; the state folder is shared with group " + sharing->group +
                              ", which needs mode " + Octal(shared_mode) +
                              " and that group: run `halcyon home share --group " + sharing->group +
                              "` as its owner, or `halcyon home share --off`");
  }
  if ((info.st_mode & S_IWOTH) != 0) {
    return FailedPrecondition(now + ": everybody may write there; run `chmod o-w " + path + "`");
  }
  // A user's own group has nobody else in it, and many systems let it write by default.
  const bool is_own_group = is_root && info.st_gid == getegid();
  if ((info.st_mode & S_IWGRP) == 0 || is_own_group) return absl::OkStatus();
  return FailedPrecondition(now + ", but the state folder is not shared: run `chmod g-w " + path +
                            "`, or share it with `halcyon home share --group " +
                            GroupName(info.st_gid) + "`");
}

absl::Status CheckModes(const HomeLayout& home, const std::optional<Sharing>& sharing) {
  RETURN_IF_ERROR(CheckFolder(home.root, sharing, kSharedFolder, /*is_root=*/true));
  for (const std::string name : kHomeFolders) {
    RETURN_IF_ERROR(CheckFolder(JoinPath(home.root, name), sharing,
                                name == "jobs" ? kFolderOfJobs : kSharedFolder, false));
  }
  return absl::OkStatus();
}

absl::Status CheckUserOfJob(const HomeLayout& home, const std::string& job_id,
                            const std::string& what) {
  struct stat info;
  if (stat(home.Job(job_id).c_str(), &info) != 0 || info.st_uid == geteuid()) {
    return absl::OkStatus();
  }
  return FailedPrecondition("job " + job_id + " is user " + UserName(info.st_uid) +
                            "'s: only they can " + what +
                            " it; a copy of its job file at another path is a job of your own");
}

}  // namespace

std::string UserName(uid_t uid) {
  const passwd* found = getpwuid(uid);
  return found != nullptr ? found->pw_name : std::to_string(uid);
}

absl::StatusOr<std::optional<Sharing>> ReadSharing(const HomeLayout& home) {
  const auto text = Env::Posix()->ReadFile(home.Sharing());
  if (absl::IsNotFound(text.status())) return std::nullopt;
  RETURN_IF_ERROR(text.status());
  const auto parse = [&]() -> absl::StatusOr<Sharing> {
    Sharing sharing;
    ASSIGN_OR_RETURN(const nlohmann::json json, ParseStrictJson(*text));
    ASSIGN_OR_RETURN(const uint64_t format, UnsignedMember(json, "format"));
    if (format != kSharingFormat) {
      return FailedPrecondition("has format " + std::to_string(format) +
                                ", this program reads 1; use a newer Halcyon");
    }
    ASSIGN_OR_RETURN(sharing.group, StringMember(json, "group"));
    ASSIGN_OR_RETURN(const uint64_t gid, UnsignedMember(json, "gid"));
    sharing.gid = static_cast<gid_t>(gid);
    return sharing;
  };
  auto sharing = parse();
  RETURN_IF_ERROR(sharing.status(), home.Sharing());
  return *std::move(sharing);
}

absl::Status UseSharing(const HomeLayout& home) {
  ASSIGN_OR_RETURN(const std::optional<Sharing> sharing, ReadSharing(home));
  RETURN_IF_ERROR(CheckModes(home, sharing));
  if (sharing) umask(kGroupUmask);
  return absl::OkStatus();
}

absl::StatusOr<SharingResult> ShareHome(const HomeLayout& home, const std::string& group) {
  Change change;
  ASSIGN_OR_RETURN(change.sharing, FindGroup(group));
  ASSIGN_OR_RETURN(change.owner, OwnerOfHome(home));
  const Sharing& sharing = change.sharing;
  if (!IsInGroup(sharing.gid)) {
    return InvalidArgument("user " + UserName(geteuid()) + " is not in group " + sharing.group);
  }
  ASSIGN_OR_RETURN(const std::optional<Sharing> before, ReadSharing(home));
  if (before && before->gid != sharing.gid) {
    return InvalidArgument(home.root + ": is shared with group " + before->group +
                           "; end that first with `halcyon home share --off`");
  }
  umask(kGroupUmask);
  RETURN_IF_ERROR(
      WalkTree(home.root, [&](const TreeEntry& entry) { return Share(entry, &change); }));
  // Last: what was interrupted is refused by UseSharing, which says how to go on.
  const nlohmann::json record = {
      {"format", kSharingFormat}, {"group", sharing.group}, {"gid", sharing.gid}};
  RETURN_IF_ERROR(WriteFileAtomically(*Env::Posix(), home.Sharing(), record.dump() + "\n"));
  if (chmod(home.Sharing().c_str(), 0640) != 0 ||
      chown(home.Sharing().c_str(), change.owner, sharing.gid) != 0) {
    return ErrnoStatus(errno, "cannot protect " + home.Sharing());
  }
  return SharingResult{sharing, change.left, ClosedAbove(home.root, sharing.gid)};
}

absl::Status UnshareHome(const HomeLayout& home) {
  ASSIGN_OR_RETURN(const uid_t owner, OwnerOfHome(home));
  RETURN_IF_ERROR(
      WalkTree(home.root, [&](const TreeEntry& entry) { return CheckOwner(entry, owner); }));
  // The record goes first: what was interrupted is refused by UseSharing until this is repeated.
  const absl::Status removed = Env::Posix()->RemoveFile(home.Sharing());
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  RETURN_IF_ERROR(Env::Posix()->SyncDir(home.root));
  return WalkTree(home.root, Unshare);
}

absl::Status OwnJobFolder(Env& env, const HomeLayout& home, const std::string& job_id) {
  ASSIGN_OR_RETURN(const std::optional<Sharing> sharing, ReadSharing(home));
  if (!sharing) return absl::OkStatus();
  const std::string folder = home.Job(job_id);
  RETURN_IF_ERROR(env.CreateDirs(folder));
  RETURN_IF_ERROR(CheckUserOfJob(home, job_id, "run"));
  if (chmod(folder.c_str(), kFolderOfAJob) != 0) {
    return ErrnoStatus(errno, "cannot protect " + folder);
  }
  return absl::OkStatus();
}

absl::Status CheckIsOwnJob(const HomeLayout& home, const std::string& job_id,
                           const std::string& what) {
  ASSIGN_OR_RETURN(const std::optional<Sharing> sharing, ReadSharing(home));
  return sharing ? CheckUserOfJob(home, job_id, what) : absl::OkStatus();
}

}  // namespace halcyon::storage
