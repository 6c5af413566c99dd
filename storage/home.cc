#include "storage/home.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "base/env.h"
#include "base/shared_file.h"
#include "storage/sharing.h"

namespace halcyon::storage {
namespace {

constexpr mode_t kPrivateFileMode = 0600, kPrivateFolderMode = 0700;
constexpr char kHowToChoose[] = "choose another with --home DIR or HALCYON_HOME";

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Format 1 had one lock and one journal for all jobs. What the journal knew is in the files of the
// jobs and artifacts, too.
absl::Status MigrateFromFormat1(Env& env, const HomeLayout& home) {
  const std::string journal = JoinPath(home.root, "journal"), lock = JoinPath(home.root, "lock");
  const auto owned = FileLock::TryAcquire(lock, FileLock::Mode::kExclusive);
  if (owned.ok() && *owned == nullptr) {
    return InvalidArgument(home.root + ": an earlier version of Halcyon is running a job in it (" +
                           lock + " says which); wait for it, or " + kHowToChoose);
  }
  const absl::Status renamed = env.Rename(journal, JoinPath(home.root, "journal-of-format-1"));
  if (!renamed.ok() && !absl::IsNotFound(renamed)) return renamed;
  // In the place of the folder, so that an earlier version cannot begin a journal there.
  return WriteFileAtomically(env, journal,
                             "This state folder has format 2: use a newer version of Halcyon.\n");
}

absl::Status EnsureFormat(Env& env, const HomeLayout& home) {
  const auto text = env.ReadFile(home.Format());
  if (text.ok()) {
    uint64_t format = 0;
    const auto parsed = std::from_chars(text->data(), text->data() + text->size(), format);
    if (parsed.ec == std::errc() && format <= kHomeFormat) return absl::OkStatus();
    return FailedPrecondition(home.Format() + ": says \"" + text->substr(0, 20) +
                              "\", this program reads format " + std::to_string(kHomeFormat) +
                              "; use a newer Halcyon, or " + kHowToChoose);
  }
  if (!absl::IsNotFound(text.status())) return text.status();
  std::error_code error;
  if (std::filesystem::is_directory(JoinPath(home.root, "journal"), error)) {
    RETURN_IF_ERROR(MigrateFromFormat1(env, home));
  }
  // Several may be the first ones at the same time.
  return WriteSharedFile(env, home.Format(), std::to_string(kHomeFormat) + "\n",
                         Durability::kSynced);
}

// Private also in a folder of a group: sharing it is a decision of its own.
absl::Status MakeRoot(Env& env, const std::string& root) {
  const auto reason = [](const absl::Status& status) {
    if (absl::IsResourceExhausted(status)) return status;
    return InvalidArgument(MessageOf(status) + "; " + kHowToChoose);
  };
  if (const absl::Status made = env.CreateDirs(root); !made.ok()) return reason(made);
  if (chmod(root.c_str(), kPrivateFolderMode) != 0) {
    return reason(ErrnoStatus(errno, "cannot protect " + root));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ChooseHome(const std::string& flag) {
  std::string chosen = flag;
  if (chosen.empty()) chosen = Variable("HALCYON_HOME");
  // The XDG specification says that a relative path there is to be ignored.
  if (const std::string state = Variable("XDG_STATE_HOME"); chosen.empty() && state[0] == '/') {
    chosen = JoinPath(state, "halcyon");
  }
  if (const std::string home = Variable("HOME"); chosen.empty() && !home.empty()) {
    chosen = JoinPath(home, ".local/state/halcyon");
  }
  if (chosen.empty()) {
    return InvalidArgument(std::string("no state folder: HOME is not set; ") + kHowToChoose);
  }
  std::error_code error;
  std::string path = std::filesystem::absolute(chosen, error).lexically_normal().string();
  if (error) return ErrnoStatus(error.value(), "cannot find the current folder");
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string HomeLayout::Format() const { return JoinPath(root, "format"); }
std::string HomeLayout::Sharing() const { return JoinPath(root, "sharing.json"); }
std::string HomeLayout::Sources() const { return JoinPath(root, "sources"); }
std::string HomeLayout::Owner(const std::string& job_id) const {
  return JoinPath(Job(job_id), "owner");
}
std::string HomeLayout::Journal(const std::string& job_id) const {
  return JoinPath(Job(job_id), "journal");
}
std::string HomeLayout::Job(const std::string& job_id) const {
  return JoinPath(JoinPath(root, "jobs"), job_id);
}
std::string HomeLayout::JobSpec(const std::string& job_id) const {
  return JoinPath(Job(job_id), "job.toml");
}
std::string HomeLayout::JobLogs(const std::string& job_id) const {
  return JoinPath(Job(job_id), "logs");
}
std::string HomeLayout::Socket(const std::string& job_id) const {
  return JoinPath(Job(job_id), "socket");
}
std::string HomeLayout::AliveFile(const std::string& job_id) const {
  return JoinPath(Job(job_id), "alive");
}
std::string HomeLayout::ArtifactsOf(const std::string& kind) const {
  return JoinPath(JoinPath(root, "artifacts"), kind);
}
std::string HomeLayout::Artifact(const std::string& kind, const std::string& fingerprint) const {
  return JoinPath(ArtifactsOf(kind), fingerprint.substr(0, kShortFingerprint));
}
std::string HomeLayout::Work(const std::string& kind, const std::string& fingerprint) const {
  return JoinPath(JoinPath(root, "work"), kind + "-" + fingerprint.substr(0, kShortFingerprint));
}

std::string HomeLayout::Claim(const std::string& kind, const std::string& fingerprint) const {
  return JoinPath(JoinPath(root, "claims"), kind + "-" + fingerprint.substr(0, kShortFingerprint));
}

absl::StatusOr<HomeLayout> FindHome(const std::string& root) {
  struct stat info;
  if (stat(root.c_str(), &info) != 0) {
    // Where a folder above cannot be searched it is not known whether this one exists.
    if (errno == ENOENT) return HomeLayout{root};
    return InvalidArgument(MessageOf(ErrnoStatus(errno, "cannot read the state folder " + root)) +
                           "; " + kHowToChoose);
  }
  if (!S_ISDIR(info.st_mode)) return InvalidArgument(root + ": is not a folder; " + kHowToChoose);
  HomeLayout layout{root};
  for (const std::string& folder : {root, DirName(layout.Job("any"))}) {
    if (access(folder.c_str(), R_OK | X_OK) == 0 || errno == ENOENT) continue;
    return InvalidArgument(MessageOf(ErrnoStatus(errno, "cannot read the state folder " + folder)) +
                           "; " + kHowToChoose);
  }
  return layout;
}

absl::StatusOr<HomeLayout> OpenHome(const std::string& root) {
  HomeLayout layout{root};
  Env& env = *Env::Posix();
  std::error_code error;
  if (env.Exists(root) && !std::filesystem::is_directory(root, error)) {
    return InvalidArgument(root + ": is not a folder; " + kHowToChoose);
  }
  if (!env.Exists(root)) RETURN_IF_ERROR(MakeRoot(env, root));
  for (const char* part : kHomeFolders) {
    const absl::Status made = env.CreateDirs(JoinPath(root, part));
    if (absl::IsResourceExhausted(made)) return made;
    if (!made.ok()) return InvalidArgument(MessageOf(made) + "; " + kHowToChoose);
  }
  if (access(root.c_str(), R_OK | W_OK | X_OK) != 0) {
    return InvalidArgument(root + ": cannot be written; " + kHowToChoose);
  }
  RETURN_IF_ERROR(UseSharing(layout));
  RETURN_IF_ERROR(EnsureFormat(env, layout));
  return layout;
}

absl::StatusOr<std::unique_ptr<FileLock>> FileLock::TryAcquire(const std::string& path, Mode mode) {
  ASSIGN_OR_RETURN(FileDescriptor file,
                   FileDescriptor::Open(path, O_RDWR | O_CREAT, kPrivateFileMode));
  const int fd = file.get();
  std::unique_ptr<FileLock> lock(new FileLock(std::move(file)));
  if (flock(fd, (mode == Mode::kShared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return std::unique_ptr<FileLock>();
  return ErrnoStatus(errno, "cannot lock " + path);
}

}  // namespace halcyon::storage
