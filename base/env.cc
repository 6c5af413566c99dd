#include "base/env.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/file_descriptor.h"
#include "base/group_rights.h"

namespace halcyon {
namespace {

constexpr mode_t kFileMode = 0644;
constexpr size_t kReadBytes = 1 << 16;

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(FileDescriptor file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}

  absl::Status Append(std::string_view bytes) override {
    const int error = WriteAll(file_.get(), bytes);
    return error == 0 ? absl::OkStatus() : ErrnoStatus(error, "cannot write " + path_);
  }

  absl::Status Sync() override {
    if (fsync(file_.get()) != 0) return ErrnoStatus(errno, "cannot sync " + path_);
    return absl::OkStatus();
  }

  absl::Status Close() override { return file_.Close("cannot close " + path_); }

 private:
  FileDescriptor file_;
  std::string path_;
};

// Reads a pipe, a device or a file of /proc: their size is not known beforehand.
absl::StatusOr<std::string> ReadToEnd(const FileDescriptor& file, const std::string& path) {
  std::string bytes;
  std::vector<char> buffer(kReadBytes);
  while (true) {
    const ssize_t got = read(file.get(), buffer.data(), buffer.size());
    if (got == 0) return bytes;
    if (got > 0) bytes.append(buffer.data(), static_cast<size_t>(got));
    if (got < 0 && errno != EINTR) return ErrnoStatus(errno, "cannot read " + path);
  }
}

absl::StatusOr<std::string> ReadPart(const FileDescriptor& file, const std::string& path,
                                     uint64_t offset, uint64_t size) {
  std::string bytes(size, '\0');
  uint64_t done = 0;
  while (done < size) {
    const ssize_t got =
        pread(file.get(), bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "cannot read " + path);
    }
    if (got == 0) {
      return DataLoss(path + ": ends at byte " + std::to_string(offset + done) + ", expected " +
                      std::to_string(offset + size));
    }
    done += static_cast<uint64_t>(got);
  }
  return bytes;
}

class PosixEnv : public Env {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) override {
    ASSIGN_OR_RETURN(FileDescriptor file, CreateFile(path, O_WRONLY | O_TRUNC, kFileMode));
    return std::unique_ptr<WritableFile>(new PosixWritableFile(std::move(file), path));
  }

  absl::StatusOr<std::string> ReadFile(const std::string& path) override {
    ASSIGN_OR_RETURN(const uint64_t size, FileSize(path));  // refuses a folder
    ASSIGN_OR_RETURN(const FileDescriptor file, FileDescriptor::Open(path, O_RDONLY));
    struct stat info;
    if (fstat(file.get(), &info) != 0) return ErrnoStatus(errno, "cannot read " + path);
    if (!S_ISREG(info.st_mode) || size == 0) return ReadToEnd(file, path);
    return ReadPart(file, path, 0, size);
  }

  absl::StatusOr<std::string> ReadRange(const std::string& path, uint64_t offset,
                                        uint64_t size) override {
    ASSIGN_OR_RETURN(const FileDescriptor file, FileDescriptor::Open(path, O_RDONLY));
    return ReadPart(file, path, offset, size);
  }

  absl::StatusOr<uint64_t> FileSize(const std::string& path) override {
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "cannot read " + path);
    if (S_ISDIR(info.st_mode)) return InvalidArgument(path + ": is a folder, expected a file");
    return static_cast<uint64_t>(info.st_size);
  }

  bool Exists(const std::string& path) override {
    return access(path.c_str(), F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
  }

  absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) override {
    std::error_code error;
    std::vector<std::string> names;
    // Not a range-for, whose increment throws when the disk fails.
    std::filesystem::directory_iterator it(path, error), end;
    for (; !error && it != end; it.increment(error)) {
      names.push_back(it->path().filename().string());
    }
    if (error) return ErrnoStatus(error.value(), "cannot list " + path);
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status CreateDirs(const std::string& path) override {
    struct stat info;
    if (stat(path.c_str(), &info) == 0) {
      if (S_ISDIR(info.st_mode)) return absl::OkStatus();
      return FailedPrecondition(path + ": is a file, expected a folder; move it away");
    }
    if (const std::string parent = DirName(path); parent != path) {
      RETURN_IF_ERROR(CreateDirs(parent));
    }
    return CreateFolder(path);
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) != 0) {
      return ErrnoStatus(errno, "cannot rename " + from + " to " + to);
    }
    return absl::OkStatus();
  }

  absl::Status RemoveFile(const std::string& path) override {
    if (unlink(path.c_str()) != 0) return ErrnoStatus(errno, "cannot remove " + path);
    return absl::OkStatus();
  }

  absl::Status RemoveTree(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return ErrnoStatus(error.value(), "cannot remove " + path);
    return absl::OkStatus();
  }

  absl::Status SyncDir(const std::string& path) override {
    ASSIGN_OR_RETURN(const FileDescriptor dir, FileDescriptor::Open(path, O_RDONLY | O_DIRECTORY));
    if (fsync(dir.get()) != 0) return ErrnoStatus(errno, "cannot sync folder " + path);
    return absl::OkStatus();
  }
};

}  // namespace

Env* Env::Posix() {
  static PosixEnv* env = new PosixEnv;
  return env;
}

absl::Status ReplaceFile(Env& env, const std::string& temporary, const std::string& path,
                         std::string_view bytes, Durability durability) {
  const bool is_synced = durability == Durability::kSynced;
  {
    ASSIGN_OR_RETURN(auto file, env.NewWritableFile(temporary));
    RETURN_IF_ERROR(file->Append(bytes));
    if (is_synced) RETURN_IF_ERROR(file->Sync());
    RETURN_IF_ERROR(file->Close());
  }
  RETURN_IF_ERROR(env.Rename(temporary, path));
  return is_synced ? env.SyncDir(DirName(path)) : absl::OkStatus();
}

absl::Status CreateSyncedDir(Env& env, const std::string& path) {
  if (env.Exists(path)) return absl::OkStatus();
  RETURN_IF_ERROR(env.CreateDirs(path));
  return env.SyncDir(DirName(path));
}

absl::Status WriteFileAtomically(Env& env, const std::string& path, std::string_view bytes) {
  return ReplaceFile(env, path + ".tmp", path, bytes, Durability::kSynced);
}

std::string JoinPath(std::string_view a, std::string_view b) {
  if (a.empty() || (!b.empty() && b.front() == '/')) return std::string(b);
  std::string joined(a);
  if (joined.back() != '/') joined += '/';
  return joined.append(b);
}

std::string DirName(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string BaseName(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

}  // namespace halcyon
