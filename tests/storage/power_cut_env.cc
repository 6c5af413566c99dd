#include "tests/storage/power_cut_env.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/check.h"
#include "base/philox.h"

namespace halcyon::testing {

std::function<bool()> SurvivalOf(uint64_t outcome) {
  if (outcome < 2) return [outcome] { return outcome == 1; };
  return [stream = PhiloxStream(outcome, NoiseStream::kEvaluation, 0, 0),
          index = uint64_t{0}]() mutable { return stream.Bits(index++) % 2 == 1; };
}

class PowerCutEnv::File : public WritableFile {
 public:
  File(PowerCutEnv& env, std::string path, std::shared_ptr<Node> node)
      : env_(env), path_(std::move(path)), node_(std::move(node)) {}

  absl::Status Append(std::string_view bytes) override {
    if (absl::Status status = env_.StartOperation(path_); !status.ok()) {
      node_->bytes += bytes.substr(0, bytes.size() / 2);
      return status;
    }
    const size_t room = std::min<uint64_t>(bytes.size(), env_.bytes_left_);
    node_->bytes += bytes.substr(0, room);
    if (env_.bytes_left_ != kNever) env_.bytes_left_ -= room;
    return room == bytes.size() ? absl::OkStatus() : ErrnoStatus(ENOSPC, "cannot write " + path_);
  }

  absl::Status Sync() override {
    RETURN_IF_ERROR(env_.StartOperation(path_));
    node_->synced = node_->bytes;
    return absl::OkStatus();
  }

  absl::Status Close() override { return absl::OkStatus(); }

 private:
  PowerCutEnv& env_;
  std::string path_;
  std::shared_ptr<Node> node_;
};

PowerCutEnv::PowerCutEnv() {
  for (const char* path : {"/", "/home"}) {
    now_[path] = std::make_shared<Node>(Node{.folder = true, .bytes = "", .synced = ""});
  }
  synced_ = now_;
}

void PowerCutEnv::Restart(const std::function<bool()>& survives) {
  operations_left_ = kNever;
  std::set<std::string> paths;
  for (const Tree* tree : {&now_, &synced_}) {
    for (const auto& [path, node] : *tree) paths.insert(path);
  }
  Tree after;
  for (const std::string& path : paths) {
    std::shared_ptr<Node> node = Find(synced_, path);
    if (const auto unsynced = Find(now_, path); unsynced != node && survives()) node = unsynced;
    const bool has_folder = path == "/" || after.contains(DirName(path));
    if (node != nullptr && has_folder) after[path] = node;
  }
  for (auto& [path, node] : after) {
    if (node->bytes == node->synced) continue;
    if (!survives()) {
      const bool is_appended = node->bytes.starts_with(node->synced);
      const size_t kept = is_appended ? node->synced.size() : 0;
      node->bytes =
          survives() ? node->bytes.substr(0, kept + (node->bytes.size() - kept) / 2) : node->synced;
    }
    node->synced = node->bytes;
  }
  now_ = synced_ = after;
}

std::string& PowerCutEnv::Contents(const std::string& path) {
  const auto node = Find(now_, path);
  HALCYON_CHECK(node != nullptr && !node->folder);
  return node->bytes;
}

std::shared_ptr<PowerCutEnv::Node> PowerCutEnv::Find(const Tree& tree, const std::string& path) {
  const auto it = tree.find(path);
  return it == tree.end() ? nullptr : it->second;
}

absl::StatusOr<std::shared_ptr<PowerCutEnv::Node>> PowerCutEnv::FindFile(const std::string& path) {
  auto node = Find(now_, path);
  if (node == nullptr) return ErrnoStatus(ENOENT, "cannot open " + path);
  if (node->folder) return ErrnoStatus(EISDIR, "cannot open " + path);
  return node;
}

absl::Status PowerCutEnv::StartOperation(const std::string& path) {
  if (operations_left_ == 0) return Internal(path + ": the power is gone");
  if (operations_left_ != kNever) --operations_left_;
  ++operations_;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<WritableFile>> PowerCutEnv::NewWritableFile(
    const std::string& path) {
  RETURN_IF_ERROR(StartOperation(path));
  if (!Exists(DirName(path))) return ErrnoStatus(ENOENT, "cannot create " + path);
  auto& node = now_[path];
  if (node == nullptr) node = std::make_shared<Node>();
  node->bytes.clear();
  return std::unique_ptr<WritableFile>(new File(*this, path, node));
}

absl::StatusOr<std::string> PowerCutEnv::ReadFile(const std::string& path) {
  ASSIGN_OR_RETURN(const auto node, FindFile(path));
  return node->bytes;
}

absl::StatusOr<std::string> PowerCutEnv::ReadRange(const std::string& path, uint64_t offset,
                                                   uint64_t size) {
  ASSIGN_OR_RETURN(const auto node, FindFile(path));
  if (offset > node->bytes.size() || size > node->bytes.size() - offset) {
    return DataLoss(path + ": ends at byte " + std::to_string(node->bytes.size()));
  }
  return node->bytes.substr(offset, size);
}

absl::StatusOr<uint64_t> PowerCutEnv::FileSize(const std::string& path) {
  ASSIGN_OR_RETURN(const auto node, FindFile(path));
  return node->bytes.size();
}

bool PowerCutEnv::Exists(const std::string& path) { return Find(now_, path) != nullptr; }

absl::StatusOr<std::vector<std::string>> PowerCutEnv::ListDir(const std::string& path) {
  if (!Exists(path)) return ErrnoStatus(ENOENT, "cannot list " + path);
  std::vector<std::string> names;
  for (const auto& [entry, node] : now_) {
    if (entry != "/" && DirName(entry) == path) names.push_back(BaseName(entry));
  }
  return names;
}

absl::Status PowerCutEnv::CreateDirs(const std::string& path) {
  if (Exists(path)) return absl::OkStatus();
  RETURN_IF_ERROR(CreateDirs(DirName(path)));
  RETURN_IF_ERROR(StartOperation(path));
  now_[path] = std::make_shared<Node>(Node{.folder = true, .bytes = "", .synced = ""});
  return absl::OkStatus();
}

absl::Status PowerCutEnv::Rename(const std::string& from, const std::string& to) {
  RETURN_IF_ERROR(StartOperation(to));
  const auto it = now_.find(from);
  if (it == now_.end()) return ErrnoStatus(ENOENT, "cannot rename " + from);
  const auto node = it->second;
  now_.erase(it);
  now_[to] = node;
  return absl::OkStatus();
}

absl::Status PowerCutEnv::RemoveFile(const std::string& path) {
  RETURN_IF_ERROR(StartOperation(path));
  if (now_.erase(path) == 0) return ErrnoStatus(ENOENT, "cannot remove " + path);
  return absl::OkStatus();
}

absl::Status PowerCutEnv::RemoveTree(const std::string& path) {
  if (!Exists(path)) return absl::OkStatus();
  // From the last name to the first, so that "COMMIT" outlives the files it covers: the worst
  // order.
  ASSIGN_OR_RETURN(std::vector<std::string> names, ListDir(path));
  std::reverse(names.begin(), names.end());
  for (const std::string& name : names) RETURN_IF_ERROR(RemoveFile(JoinPath(path, name)));
  return RemoveFile(path);
}

absl::Status PowerCutEnv::SyncDir(const std::string& path) {
  RETURN_IF_ERROR(StartOperation(path));
  if (!Exists(path)) return ErrnoStatus(ENOENT, "cannot sync " + path);
  const auto is_entry = [&](const std::string& p) { return p != "/" && DirName(p) == path; };
  std::erase_if(synced_, [&](const auto& item) { return is_entry(item.first); });
  for (const auto& [entry, node] : now_) {
    if (is_entry(entry)) synced_[entry] = node;
  }
  return absl::OkStatus();
}

}  // namespace halcyon::testing
