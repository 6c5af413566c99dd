#include "tests/testing/faulty_env.h"

#include <utility>

namespace halcyon::testing {
namespace {

bool IsAtOrBelow(const std::string& path, const std::string& root) {
  return path == root || path.compare(0, root.size() + 1, root + "/") == 0;
}

absl::Status IgnoreNotFound(absl::Status status) {
  return status.code() == absl::StatusCode::kNotFound ? absl::OkStatus() : status;
}

}  // namespace

class FaultyEnv::File : public WritableFile {
 public:
  File(FaultyEnv* env, std::string path, std::unique_ptr<WritableFile> base)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(env->mutex_)
      : env_(env), path_(std::move(path)), base_(std::move(base)), life_(env->power_cuts_) {}

  absl::Status Append(std::string_view bytes) override {
    const MutexLock lock(&env_->mutex_);
    RETURN_IF_ERROR(CheckPower());
    if (!env_->bytes_left_.has_value()) {
      size_ += bytes.size();
      return base_->Append(bytes);
    }
    const std::string_view fits = bytes.substr(0, *env_->bytes_left_);
    *env_->bytes_left_ -= fits.size();
    size_ += fits.size();
    RETURN_IF_ERROR(base_->Append(fits));
    return fits.size() == bytes.size() ? absl::OkStatus()
                                       : Annotate(env_->write_error_, "cannot write " + path_);
  }

  absl::Status Sync() override {
    const MutexLock lock(&env_->mutex_);
    RETURN_IF_ERROR(CheckPower());
    RETURN_IF_ERROR(base_->Sync());
    env_->synced_sizes_[path_] = size_;
    return absl::OkStatus();
  }

  absl::Status Close() override {
    const MutexLock lock(&env_->mutex_);
    RETURN_IF_ERROR(CheckPower());
    return base_->Close();
  }

 private:
  absl::Status CheckPower() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(env_->mutex_) {
    if (life_ == env_->power_cuts_) return absl::OkStatus();
    return Unavailable(path_ + ": was open when the power was cut");
  }

  FaultyEnv* const env_;
  const std::string path_;
  const std::unique_ptr<WritableFile> base_;
  const uint64_t life_;
  uint64_t size_ = 0;
};

void FaultyEnv::FailWritesAfter(uint64_t bytes, absl::Status status) {
  const MutexLock lock(&mutex_);
  bytes_left_ = bytes;
  write_error_ = std::move(status);
}

void FaultyEnv::StopFailing() {
  const MutexLock lock(&mutex_);
  bytes_left_.reset();
}

absl::Status FaultyEnv::DropUnsynced() {
  const MutexLock lock(&mutex_);
  ++power_cuts_;
  for (const auto& [path, size] : synced_sizes_) {
    if (!base_->Exists(path)) continue;
    ASSIGN_OR_RETURN(const std::string bytes, base_->ReadRange(path, 0, size));
    RETURN_IF_ERROR(Overwrite(path, bytes));
  }
  for (auto change = unsynced_entries_.rbegin(); change != unsynced_entries_.rend(); ++change) {
    RETURN_IF_ERROR(Undo(*change));
  }
  synced_sizes_.clear();
  unsynced_entries_.clear();
  return absl::OkStatus();
}

absl::Status FaultyEnv::Undo(const EntryChange& change) {
  if (change.renamed_from.empty()) return base_->RemoveTree(change.path);
  RETURN_IF_ERROR(IgnoreNotFound(base_->Rename(change.path, change.renamed_from)));
  return change.replaced.has_value() ? Overwrite(change.path, *change.replaced) : absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<WritableFile>> FaultyEnv::NewWritableFile(const std::string& path) {
  const MutexLock lock(&mutex_);
  const bool is_new = !base_->Exists(path);
  ASSIGN_OR_RETURN(auto file, base_->NewWritableFile(path));
  if (is_new) unsynced_entries_.push_back({.path = path, .renamed_from = "", .replaced = {}});
  synced_sizes_[path] = 0;
  return std::unique_ptr<WritableFile>(new File(this, path, std::move(file)));
}

absl::StatusOr<std::string> FaultyEnv::ReadFile(const std::string& path) {
  return base_->ReadFile(path);
}

absl::StatusOr<std::string> FaultyEnv::ReadRange(const std::string& path, uint64_t offset,
                                                 uint64_t size) {
  return base_->ReadRange(path, offset, size);
}

absl::StatusOr<uint64_t> FaultyEnv::FileSize(const std::string& path) {
  return base_->FileSize(path);
}

bool FaultyEnv::Exists(const std::string& path) { return base_->Exists(path); }

absl::StatusOr<std::vector<std::string>> FaultyEnv::ListDir(const std::string& path) {
  return base_->ListDir(path);
}

absl::Status FaultyEnv::CreateDirs(const std::string& path) {
  const MutexLock lock(&mutex_);
  std::vector<std::string> created;
  for (std::string dir = path; !base_->Exists(dir); dir = DirName(dir)) created.push_back(dir);
  RETURN_IF_ERROR(base_->CreateDirs(path));
  for (auto dir = created.rbegin(); dir != created.rend(); ++dir) {
    unsynced_entries_.push_back({.path = *dir, .renamed_from = "", .replaced = {}});
  }
  return absl::OkStatus();
}

absl::Status FaultyEnv::Rename(const std::string& from, const std::string& to) {
  const MutexLock lock(&mutex_);
  EntryChange change{.path = to, .renamed_from = from, .replaced = {}};
  // A folder has no size: one that is replaced is empty and needs no bytes.
  if (base_->FileSize(to).ok()) {
    ASSIGN_OR_RETURN(change.replaced, SyncedBytes(to));
  }
  RETURN_IF_ERROR(base_->Rename(from, to));
  MoveSizes(from, to);
  unsynced_entries_.push_back(std::move(change));
  return absl::OkStatus();
}

absl::Status FaultyEnv::RemoveFile(const std::string& path) {
  const MutexLock lock(&mutex_);
  RETURN_IF_ERROR(base_->RemoveFile(path));
  synced_sizes_.erase(path);
  return absl::OkStatus();
}

absl::Status FaultyEnv::RemoveTree(const std::string& path) {
  const MutexLock lock(&mutex_);
  RETURN_IF_ERROR(base_->RemoveTree(path));
  std::erase_if(synced_sizes_, [&](const auto& file) { return IsAtOrBelow(file.first, path); });
  return absl::OkStatus();
}

absl::Status FaultyEnv::SyncDir(const std::string& path) {
  const MutexLock lock(&mutex_);
  RETURN_IF_ERROR(base_->SyncDir(path));
  std::erase_if(unsynced_entries_,
                [&](const EntryChange& change) { return DirName(change.path) == path; });
  return absl::OkStatus();
}

void FaultyEnv::MoveSizes(const std::string& from, const std::string& to) {
  synced_sizes_.erase(to);
  std::map<std::string, uint64_t> moved;
  for (const auto& [path, size] : synced_sizes_) {
    moved[IsAtOrBelow(path, from) ? to + path.substr(from.size()) : path] = size;
  }
  synced_sizes_ = std::move(moved);
}

absl::StatusOr<std::string> FaultyEnv::SyncedBytes(const std::string& path) {
  const auto known = synced_sizes_.find(path);
  if (known == synced_sizes_.end()) return base_->ReadFile(path);
  return base_->ReadRange(path, 0, known->second);
}

absl::Status FaultyEnv::Overwrite(const std::string& path, std::string_view bytes) {
  ASSIGN_OR_RETURN(auto file, base_->NewWritableFile(path));
  RETURN_IF_ERROR(file->Append(bytes));
  return file->Close();
}

}  // namespace halcyon::testing
