// A file system on which reading certain files fails, as a disk's defect or a missing permission
// makes it; a test that runs as root meets neither.
#ifndef HALCYON_TESTS_TESTING_UNREADABLE_ENV_H_
#define HALCYON_TESTS_TESTING_UNREADABLE_ENV_H_

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"

namespace halcyon::testing {

class UnreadableEnv : public Env {
 public:
  explicit UnreadableEnv(Env& base) : base_(base) {}

  // From now on the contents of files whose path ends so cannot be read, though they are there.
  void MakeUnreadable(std::string ending) { endings_.push_back(std::move(ending)); }
  void MakeReadable() { endings_.clear(); }

  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) override {
    return base_.NewWritableFile(path);
  }
  absl::StatusOr<std::string> ReadFile(const std::string& path) override {
    RETURN_IF_ERROR(Check(path));
    return base_.ReadFile(path);
  }
  absl::StatusOr<std::string> ReadRange(const std::string& path, uint64_t offset,
                                        uint64_t size) override {
    RETURN_IF_ERROR(Check(path));
    return base_.ReadRange(path, offset, size);
  }
  absl::StatusOr<uint64_t> FileSize(const std::string& path) override {
    return base_.FileSize(path);
  }
  bool Exists(const std::string& path) override { return base_.Exists(path); }
  absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) override {
    return base_.ListDir(path);
  }
  absl::Status CreateDirs(const std::string& path) override { return base_.CreateDirs(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return base_.Rename(from, to);
  }
  absl::Status RemoveFile(const std::string& path) override { return base_.RemoveFile(path); }
  absl::Status RemoveTree(const std::string& path) override { return base_.RemoveTree(path); }
  absl::Status SyncDir(const std::string& path) override { return base_.SyncDir(path); }

 private:
  absl::Status Check(const std::string& path) const {
    for (const std::string& ending : endings_) {
      if (path.ends_with(ending)) return ErrnoStatus(EIO, "cannot read " + path);
    }
    return absl::OkStatus();
  }

  Env& base_;
  std::vector<std::string> endings_;
};

}  // namespace halcyon::testing

#endif  // HALCYON_TESTS_TESTING_UNREADABLE_ENV_H_
