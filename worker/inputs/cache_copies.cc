#include "worker/inputs/cache_copies.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <utility>

#include "base/process_identity.h"

namespace halcyon::worker {
namespace {

constexpr const char* kCacheStages[] = {"tokens", "latents"};
constexpr int64_t kMeetingMs = 1000;

// All-reduces in which each rank says whether it still copies, and whether it was told to stop.
// They end with the one in which no rank copies any more.
class Meetings {
 public:
  Meetings(const CopyingGang& gang, Clock* clock)
      : gang_(gang), clock_(clock), met_ms_(clock->MonotonicMs()) {}

  // Of a rank that copies: comes to the next meeting when it is time. Whether it is to give up.
  bool Stops() {
    if (!stops_ && error_.ok() && clock_->MonotonicMs() - met_ms_ >= kMeetingMs) Meet(true);
    return stops_ || !error_.ok();
  }

  // Of a rank that does not copy any more.
  absl::Status End() {
    do {
      Meet(false);
    } while (error_.ok() && copying_ > 0);
    return error_;
  }

 private:
  void Meet(bool copies) {
    std::array<double, 2> shared = {copies ? 1.0 : 0.0, gang_.stop_requested() ? 1.0 : 0.0};
    error_ = gang_.collectives->AllReduceSum(shared);
    copying_ = shared[0];
    stops_ = stops_ || shared[1] > 0;
    met_ms_ = clock_->MonotonicMs();
  }

  const CopyingGang& gang_;
  Clock* const clock_;
  int64_t met_ms_;
  double copying_ = 0;
  bool stops_ = false;
  absl::Status error_;
};

absl::StatusOr<std::shared_ptr<const storage::HostCopy>> CopyOf(
    const ArtifactInputs& inputs, const std::string& stage, const storage::CopyOptions& options) {
  ASSIGN_OR_RETURN(auto artifact, OpenArtifact(inputs, stage));
  ASSIGN_OR_RETURN(const std::string generation, artifact.Generation());
  return storage::TakeCopy(generation, options);
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CopyCaches(const CopyingGang& gang,
                                                    storage::CopyOptions options,
                                                    ArtifactInputs* inputs) {
  Meetings meetings(gang, options.clock);
  options.advanced = [&gang] { gang.progress->Advance(); };
  options.stops = [&meetings] { return meetings.Stops(); };
  std::vector<std::string> notices;
  for (const std::string stage : kCacheStages) {
    if (!inputs->contains(stage)) continue;
    gang.progress->Enter(cluster::WorkPhase::kLoading, "a copy of the " + stage);
    auto copy = CopyOf(*inputs, stage, options);
    if (copy.ok()) {
      inputs->copies[stage] = *std::move(copy);
      continue;
    }
    const std::string notice =
        fmt::format("host {}: {} are read from the state folder, not from a copy in {}: {}",
                    HostName(), stage, options.folder, MessageOf(copy.status()));
    spdlog::warn("{}", notice);
    const bool is_first = gang.collectives->rank_in(cluster::Group::kNode) == 0;
    if (is_first && !absl::IsAborted(copy.status())) notices.push_back(notice);
  }
  gang.progress->Enter(cluster::WorkPhase::kLoading, "the copies of other hosts");
  RETURN_IF_ERROR(meetings.End());
  return notices;
}

}  // namespace halcyon::worker
