#include "storage/copies/host_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/digest.h"
#include "base/fault_point.h"
#include "storage/cache_manifest.h"
#include "storage/copies/copy_room.h"
#include "storage/copies/private_folder.h"
#include "storage/page_cache.h"
#include "storage/rocks.h"

namespace halcyon::storage {
namespace {

constexpr size_t kCopyNameDigits = 32;
constexpr int64_t kPollMs = 100;
// Beside the generation's files: those of the copy, and folders.
constexpr uint64_t kOwnFiles = 8;

std::string CopyingFile(const std::string& dir) { return JoinPath(dir, "copying"); }

void Touch(const std::string& path) { utimensat(AT_FDCWD, path.c_str(), nullptr, 0); }

timespec TimeOf(const std::string& path) {
  struct stat info = {};
  stat(path.c_str(), &info);
  return info.st_mtim;
}

absl::Status RemoveGeneration(const HostCopy& copy) {
  Env& env = *Env::Posix();
  // First: what a crash leaves without it is not whole.
  const absl::Status removed = env.RemoveFile(JoinPath(copy.generation(), kManifestName));
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  return env.RemoveTree(copy.generation());
}

// One call of TakeCopy.
class CopyTaker {
 public:
  CopyTaker(std::string source, const CopyOptions& options, std::string folder)
      : source_(std::move(source)), options_(options), folder_(std::move(folder)) {}

  absl::StatusOr<std::shared_ptr<const HostCopy>> Take() {
    ASSIGN_OR_RETURN(manifest_text_, env_.ReadFile(JoinPath(source_, kManifestName)));
    ASSIGN_OR_RETURN(manifest_, DecodeManifest(manifest_text_), source_);
    RETURN_IF_ERROR(Use());
    changed_ms_ = options_.clock->MonotonicMs();
    for (bool has_waited = false;; has_waited = true) {
      if (IsWhole()) return copy_;
      ASSIGN_OR_RETURN(const auto copying,
                       FileLock::TryAcquire(CopyingFile(copy_->dir()), FileLock::Mode::kExclusive));
      if (copying != nullptr) {
        RETURN_IF_ERROR(Make(has_waited));
        return copy_;
      }
      RETURN_IF_ERROR(WaitForOther());
    }
  }

 private:
  absl::Status CheckStop() {
    return options_.stops() ? absl::AbortedError("told to stop") : absl::OkStatus();
  }

  // Whoever holds it looks for the copies in use, or removes some: no copy comes into use then.
  absl::StatusOr<std::unique_ptr<FileLock>> LockFolder() {
    while (true) {
      ASSIGN_OR_RETURN(auto lock,
                       FileLock::TryAcquire(JoinPath(folder_, "lock"), FileLock::Mode::kExclusive));
      if (lock != nullptr) return lock;
      RETURN_IF_ERROR(CheckStop());
      options_.clock->SleepMs(kPollMs);
    }
  }

  absl::Status Use() {
    const std::string dir =
        JoinPath(folder_, Sha256::Of(manifest_text_).substr(0, kCopyNameDigits));
    const std::string use = JoinPath(dir, "use");
    ASSIGN_OR_RETURN(const auto lock, LockFolder());
    RETURN_IF_ERROR(env_.CreateDirs(dir));
    ASSIGN_OR_RETURN(auto used, FileLock::TryAcquire(use, FileLock::Mode::kShared));
    if (used == nullptr) return Unavailable(use + ": is locked by another program");
    Touch(use);
    copy_ = std::make_shared<const HostCopy>(dir, std::move(used));
    return absl::OkStatus();
  }

  bool IsWhole() {
    const auto text = env_.ReadFile(JoinPath(copy_->generation(), kManifestName));
    if (absl::IsNotFound(text.status())) return false;
    damage_ = text.status();
    if (text.ok() && *text != manifest_text_) damage_ = DataLoss("has another manifest");
    if (damage_.ok()) {
      damage_ = CacheReader::Open(copy_->generation(), manifest_.dataset).status();
    }
    return damage_.ok();
  }

  absl::Status WaitForOther() {
    const timespec changed = TimeOf(CopyingFile(copy_->dir()));
    const int64_t now_ms = options_.clock->MonotonicMs();
    if (changed.tv_sec != changed_.tv_sec || changed.tv_nsec != changed_.tv_nsec) {
      changed_ = changed;
      changed_ms_ = now_ms;
      options_.advanced();
    } else if (now_ms - changed_ms_ > kCopyStalledMs) {
      return Unavailable(fmt::format("{}: the process that copies has done nothing for {} s",
                                     copy_->dir(), (now_ms - changed_ms_) / 1000));
    }
    RETURN_IF_ERROR(CheckStop());
    options_.clock->SleepMs(kPollMs);
    return absl::OkStatus();
  }

  // REQUIRES: this process holds `copying`.
  absl::Status Make(bool has_waited) {
    if (IsWhole()) return absl::OkStatus();
    const std::string failed = JoinPath(copy_->dir(), "failed");
    if (const auto reason = env_.ReadFile(failed); has_waited && reason.ok()) {
      return Unavailable("another process could not copy it: " + *reason);
    }
    if (!damage_.ok()) {
      spdlog::warn("{}: a damaged copy is made again: {}", copy_->dir(), MessageOf(damage_));
    }
    RETURN_IF_ERROR(RemoveGeneration(*copy_));
    if (env_.Exists(failed)) RETURN_IF_ERROR(env_.RemoveFile(failed));
    const absl::Status copied = CopyAll();
    if (copied.ok()) return absl::OkStatus();
    const absl::Status removed = RemoveGeneration(*copy_);
    if (!removed.ok()) spdlog::warn("{}", MessageOf(removed));
    // For those who wait: they would fail likewise, one after the other.
    if (!absl::IsAborted(copied)) {
      WriteFileAtomically(env_, failed, MessageOf(copied)).IgnoreError();
    }
    return copied;
  }

  absl::Status CopyAll() {
    const int64_t began_ms = options_.clock->MonotonicMs();
    DiskRoom needed{manifest_text_.size(), manifest_.files.size() + kOwnFiles};
    for (const CacheManifest::File& file : manifest_.files) needed.bytes += file.bytes;
    {
      ASSIGN_OR_RETURN(const auto lock, LockFolder());
      RETURN_IF_ERROR(MakeRoomForCopy(folder_, needed, options_));
    }
    RETURN_IF_ERROR(env_.CreateDirs(copy_->generation()));
    FaultPoint("copy begun");
    for (const CacheManifest::File& file : manifest_.files) {
      // Others may have filled the disk meanwhile.
      RETURN_IF_ERROR(CheckRoomForCopy(folder_, {file.bytes, 0}, options_));
      RETURN_IF_ERROR(CopyFile(file));
    }
    RETURN_IF_ERROR(env_.SyncDir(copy_->generation()));
    FaultPoint("copy before the manifest");
    RETURN_IF_ERROR(
        WriteFileAtomically(env_, JoinPath(copy_->generation(), kManifestName), manifest_text_));
    if (!IsWhole()) return Annotate(damage_, "what was copied cannot be read");
    const int64_t took_ms = std::max<int64_t>(options_.clock->MonotonicMs() - began_ms, 1);
    spdlog::info("copied {} bytes of {} to {} in {:.1f} s, {:.0f} MB/s", needed.bytes, source_,
                 copy_->dir(), static_cast<double>(took_ms) / 1e3,
                 static_cast<double>(needed.bytes) / 1e3 / static_cast<double>(took_ms));
    return absl::OkStatus();
  }

  absl::Status CopyFile(const CacheManifest::File& file) {
    const std::string from = JoinPath(source_, file.name);
    const std::string to = JoinPath(copy_->generation(), file.name), temporary = to + ".tmp";
    ASSIGN_OR_RETURN(auto output, env_.NewWritableFile(temporary));
    uint64_t bytes = 0;
    ASSIGN_OR_RETURN(const std::string crc32c,
                     VisitWithCrc32c(from, [&](std::string_view piece) -> absl::Status {
                       RETURN_IF_ERROR(output->Append(piece));
                       bytes += piece.size();
                       Touch(CopyingFile(copy_->dir()));
                       options_.advanced();
                       return CheckStop();
                     }));
    if (bytes != file.bytes || crc32c != file.crc32c) {
      return DataLoss(fmt::format("{}: has {} bytes with CRC32c {}, the manifest says {} and {}",
                                  from, bytes, crc32c, file.bytes, file.crc32c));
    }
    RETURN_IF_ERROR(output->Sync());
    RETURN_IF_ERROR(output->Close());
    FaultPoint("copy written " + file.name);
    return env_.Rename(temporary, to);
  }

  Env& env_ = *Env::Posix();
  const std::string source_;
  const CopyOptions& options_;
  const std::string folder_;
  std::string manifest_text_;
  CacheManifest manifest_;
  std::shared_ptr<const HostCopy> copy_;
  absl::Status damage_;     // of a copy that has a manifest
  timespec changed_ = {};   // of another process' copy
  int64_t changed_ms_ = 0;  // when that was seen
};

}  // namespace

void HostCopy::Discard(const absl::Status& why) const {
  spdlog::warn("{}: this copy is removed, and made again when it is wanted next: {}", dir_,
               MessageOf(why));
  const auto copying = FileLock::TryAcquire(CopyingFile(dir_), FileLock::Mode::kExclusive);
  // Another process is making it anew.
  if (copying.ok() && *copying == nullptr) return;
  const absl::Status removed = copying.ok() ? RemoveGeneration(*this) : copying.status();
  if (!removed.ok()) spdlog::warn("{}", MessageOf(removed));
}

absl::StatusOr<std::shared_ptr<const HostCopy>> TakeCopy(const std::string& generation,
                                                         const CopyOptions& options) {
  ASSIGN_OR_RETURN(const std::string folder, OpenPrivateFolder(options.folder));
  return CopyTaker(generation, options, folder).Take();
}

}  // namespace halcyon::storage
