#include "base/env.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

namespace halcyon {
namespace {

constexpr mode_t kPrivateDirMode = 0700;
constexpr mode_t kFileMode = 0644;

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixWritableFile() override {
    if (fd_ >= 0) close(fd_);
  }

  absl::Status Append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written < 0) {
        if (errno == EINTR) continue;
        return ErrnoStatus(errno, "cannot write " + path_);
      }
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (fsync(fd_) != 0) return ErrnoStatus(errno, "cannot sync " + path_);
    return absl::OkStatus();
  }

  absl::Status Close() override {
    const int result = close(fd_);
    fd_ = -1;
    if (result != 0) return ErrnoStatus(errno, "cannot close " + path_);
    return absl::OkStatus();
  }

 private:
  int fd_;
  std::string path_;
};

class FileDescriptor {
 public:
  FileDescriptor(const std::string& path, int flags) : fd_(open(path.c_str(), flags | O_CLOEXEC)) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

class PosixEnv : public Env {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) override {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode);
    if (fd < 0) return ErrnoStatus(errno, "cannot create " + path);
    return std::unique_ptr<WritableFile>(new PosixWritableFile(fd, path));
  }

  absl::StatusOr<std::string> ReadFile(const std::string& path) override {
    ASSIGN_OR_RETURN(const uint64_t size, FileSize(path));
    return ReadRange(path, 0, size);
  }

  absl::StatusOr<std::string> ReadRange(const std::string& path, uint64_t offset,
                                        uint64_t size) override {
    FileDescriptor file(path, O_RDONLY);
    if (file.get() < 0) return ErrnoStatus(errno, "cannot open " + path);
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

  absl::StatusOr<uint64_t> FileSize(const std::string& path) override {
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "cannot read " + path);
    if (S_ISDIR(info.st_mode)) return InvalidArgument(path + ": is a folder, expected a file");
    return static_cast<uint64_t>(info.st_size);
  }

  bool Exists(const std::string& path) override { return access(path.c_str(), F_OK) == 0; }

  absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) override {
    std::error_code error;
    std::vector<std::string> names;
    std::filesystem::directory_iterator it(path, error);
    if (error) return ErrnoStatus(error.value(), "cannot list " + path);
    for (const auto& entry : it) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status CreateDirs(const std::string& path) override {
    if (Exists(path)) return absl::OkStatus();
    if (const std::string parent = DirName(path); parent != path) {
      RETURN_IF_ERROR(CreateDirs(parent));
    }
    if (mkdir(path.c_str(), kPrivateDirMode) != 0 && errno != EEXIST) {
      return ErrnoStatus(errno, "cannot create folder " + path);
    }
    return absl::OkStatus();
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
    FileDescriptor dir(path, O_RDONLY | O_DIRECTORY);
    if (dir.get() < 0) return ErrnoStatus(errno, "cannot open folder " + path);
    if (fsync(dir.get()) != 0) return ErrnoStatus(errno, "cannot sync folder " + path);
    return absl::OkStatus();
  }
};

}  // namespace

Env* Env::Posix() {
  static PosixEnv* env = new PosixEnv;
  return env;
}

absl::Status WriteFileAtomically(Env& env, const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".tmp";
  {
    ASSIGN_OR_RETURN(auto file, env.NewWritableFile(temporary));
    RETURN_IF_ERROR(file->Append(bytes));
    RETURN_IF_ERROR(file->Sync());
    RETURN_IF_ERROR(file->Close());
  }
  RETURN_IF_ERROR(env.Rename(temporary, path));
  return env.SyncDir(DirName(path));
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
