#include "cluster/arrivals.h"

#include <sstream>

namespace halcyon::cluster {

std::string WhoIsMissing(Arrivals* arrivals, int ranks, uint64_t number) {
  std::string missing;
  int count = 0;
  for (int rank = 0; arrivals != nullptr && rank < ranks; ++rank) {
    if (arrivals->NotedBy(rank).value_or(0) >= number) continue;
    missing += (missing.empty() ? "" : ", ") + std::to_string(rank);
    ++count;
  }
  if (arrivals == nullptr || count == ranks) {
    return "a rank of its group is gone or has not started it";
  }
  if (count == 0) return "all ranks have come to it, so the network between them does not work";
  return (count == 1 ? "rank " + missing + " has" : "ranks " + missing + " have") +
         " not come to it";
}

absl::Status ArrivalFiles::Open(const std::string& dir, uint64_t incarnation, uint64_t launch) {
  RETURN_IF_ERROR(env_.CreateDirs(dir));
  const MutexLock lock(&mutex_);
  dir_ = dir;
  launch_ = std::to_string(incarnation) + " " + std::to_string(launch);
  return absl::OkStatus();
}

std::string ArrivalFiles::PathOf(int rank) const {
  return JoinPath(dir_, "rank-" + std::to_string(rank));
}

void ArrivalFiles::Note(int rank, uint64_t number) {
  const MutexLock lock(&mutex_);
  if (dir_.empty()) return;
  // Renamed, so that nobody reads half of it. A power cut may lose it.
  const std::string path = PathOf(rank), unfinished = path + ".tmp";
  auto file = env_.NewWritableFile(unfinished);
  if (!file.ok()) return;
  if (!(*file)->Append(launch_ + " " + std::to_string(number) + "\n").ok()) return;
  if ((*file)->Close().ok()) env_.Rename(unfinished, path).IgnoreError();
}

std::optional<uint64_t> ArrivalFiles::NotedBy(int rank) {
  const MutexLock lock(&mutex_);
  if (dir_.empty()) return std::nullopt;
  const auto text = env_.ReadFile(PathOf(rank));
  if (!text.ok() || !text->starts_with(launch_ + " ")) return std::nullopt;
  std::istringstream digits(text->substr(launch_.size()));
  uint64_t number = 0;
  if (!(digits >> number)) return std::nullopt;
  return number;
}

}  // namespace halcyon::cluster
