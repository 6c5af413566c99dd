#include "storage/copies/copy_room.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "storage/cache_manifest.h"
#include "storage/hex.h"

namespace halcyon::storage {
namespace {

constexpr int kMiBShift = 20;

// One that no process uses.
struct UnusedCopy {
  std::unique_ptr<HostCopy> copy;  // locked
  bool is_whole = false;
  timespec used = {};
  DiskRoom room = {};
};

DiskRoom RoomOf(const std::string& generation) {
  Env& env = *Env::Posix();
  DiskRoom room;
  const auto names = env.ListDir(generation);
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    room.bytes += env.FileSize(JoinPath(generation, name)).value_or(0);
    ++room.files;
  }
  return room;
}

// What cannot be looked at is passed over.
std::vector<UnusedCopy> UnusedCopies(const std::string& folder) {
  std::vector<UnusedCopy> unused;
  const auto names = Env::Posix()->ListDir(folder);
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    if (!BytesFromHex(name)) continue;
    const std::string dir = JoinPath(folder, name), use = JoinPath(dir, "use");
    struct stat info = {};
    stat(use.c_str(), &info);
    auto lock = FileLock::TryAcquire(use, FileLock::Mode::kExclusive);
    if (!lock.ok() || *lock == nullptr) continue;
    UnusedCopy copy{.copy = std::make_unique<HostCopy>(dir, *std::move(lock))};
    const std::string generation = copy.copy->generation();
    copy.is_whole = Env::Posix()->Exists(JoinPath(generation, kManifestName));
    copy.used = info.st_mtim;
    copy.room = RoomOf(generation);
    unused.push_back(std::move(copy));
  }
  std::ranges::sort(unused, {}, [](const UnusedCopy& copy) {
    return std::tuple(copy.is_whole, copy.used.tv_sec, copy.used.tv_nsec);
  });
  return unused;
}

absl::Status Remove(const UnusedCopy& unused) {
  Env& env = *Env::Posix();
  const HostCopy& copy = *unused.copy;
  // First: without it the copy is not whole, whatever else is removed before a crash.
  const absl::Status removed = env.RemoveFile(JoinPath(copy.generation(), kManifestName));
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  RETURN_IF_ERROR(env.RemoveTree(copy.dir()));
  spdlog::info("removed the copy {} of {} MiB, which no process uses, to make room", copy.dir(),
               unused.room.bytes >> kMiBShift);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRoomForCopy(const std::string& folder, const DiskRoom& needed,
                              const CopyOptions& options) {
  ASSIGN_OR_RETURN(const DiskRoom free, options.free_room(folder));
  return CheckRoom(free, {needed.bytes + kCopyRoomLeftBytes, needed.files}, folder,
                   fmt::format("a copy of {} MiB that leaves {} MiB free",
                               needed.bytes >> kMiBShift, kCopyRoomLeftBytes >> kMiBShift));
}

absl::Status MakeRoomForCopy(const std::string& folder, const DiskRoom& needed,
                             const CopyOptions& options) {
  absl::Status enough = CheckRoomForCopy(folder, needed, options);
  if (!absl::IsResourceExhausted(enough)) return enough;
  ASSIGN_OR_RETURN(DiskRoom room, options.free_room(folder));
  const std::vector<UnusedCopy> unused = UnusedCopies(folder);
  size_t count = 0;
  const auto suffices = [&] {
    return room.bytes >= needed.bytes + kCopyRoomLeftBytes && room.files >= needed.files;
  };
  for (; count < unused.size() && !suffices(); ++count) {
    room.bytes += unused[count].room.bytes;
    room.files += unused[count].room.files;
  }
  if (!suffices()) return enough;
  for (size_t i = 0; i < count; ++i) RETURN_IF_ERROR(Remove(unused[i]));
  return CheckRoomForCopy(folder, needed, options);
}

}  // namespace halcyon::storage
