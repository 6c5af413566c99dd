#include "jobs/job_state.h"

#include <array>
#include <string>
#include <utility>

namespace halcyon::jobs {
namespace {

template <typename State>
using Named = std::pair<State, std::string_view>;

constexpr std::array<Named<JobState>, 8> kJobStates = {{
    {JobState::kQueued, "queued"},
    {JobState::kRunning, "running"},
    {JobState::kDone, "done"},
    {JobState::kPartial, "partial"},
    {JobState::kFailed, "failed"},
    {JobState::kPreempted, "preempted"},
    {JobState::kInterrupted, "interrupted"},
    {JobState::kCancelled, "cancelled"},
}};

constexpr std::array<Named<StageState>, 6> kStageStates = {{
    {StageState::kWaiting, "waiting"},
    {StageState::kRunning, "running"},
    {StageState::kReused, "reused"},
    {StageState::kDone, "done"},
    {StageState::kFailed, "failed"},
    {StageState::kInterrupted, "interrupted"},
}};

constexpr std::array<std::pair<JobState, JobState>, 13> kJobMoves = {{
    {JobState::kQueued, JobState::kRunning},
    {JobState::kRunning, JobState::kDone},
    {JobState::kRunning, JobState::kPartial},
    {JobState::kPartial, JobState::kRunning},
    {JobState::kRunning, JobState::kFailed},
    {JobState::kRunning, JobState::kPreempted},
    {JobState::kPreempted, JobState::kRunning},
    {JobState::kFailed, JobState::kRunning},
    {JobState::kRunning, JobState::kInterrupted},
    {JobState::kInterrupted, JobState::kRunning},
    {JobState::kQueued, JobState::kCancelled},
    {JobState::kRunning, JobState::kCancelled},
    {JobState::kCancelled, JobState::kRunning},
}};

constexpr std::array<std::pair<StageState, StageState>, 7> kStageMoves = {{
    {StageState::kWaiting, StageState::kRunning},
    {StageState::kWaiting, StageState::kReused},
    {StageState::kRunning, StageState::kDone},
    {StageState::kRunning, StageState::kFailed},
    {StageState::kRunning, StageState::kInterrupted},
    {StageState::kFailed, StageState::kRunning},
    {StageState::kInterrupted, StageState::kRunning},
}};

template <typename State, size_t count>
std::string_view FindName(const std::array<Named<State>, count>& states, State state) {
  for (const auto& [candidate, name] : states) {
    if (candidate == state) return name;
  }
  return "unknown";
}

template <typename State, size_t count>
absl::StatusOr<State> FindState(const std::array<Named<State>, count>& states,
                                std::string_view name, std::string_view what) {
  std::string names;
  for (const auto& [state, candidate] : states) {
    if (candidate == name) return state;
    names += names.empty() ? "" : ", ";
    names += candidate;
  }
  return InvalidArgument("unknown " + std::string(what) + " state \"" + std::string(name) +
                         "\"; it is one of " + names);
}

template <typename State, size_t count>
bool Contains(const std::array<std::pair<State, State>, count>& moves, State from, State to) {
  for (const auto& move : moves) {
    if (move.first == from && move.second == to) return true;
  }
  return false;
}

}  // namespace

std::string_view NameOf(JobState state) { return FindName(kJobStates, state); }
std::string_view NameOf(StageState state) { return FindName(kStageStates, state); }

absl::StatusOr<JobState> JobStateFromName(std::string_view name) {
  return FindState(kJobStates, name, "job");
}
absl::StatusOr<StageState> StageStateFromName(std::string_view name) {
  return FindState(kStageStates, name, "stage");
}

bool CanMove(JobState from, JobState to) { return Contains(kJobMoves, from, to); }
bool CanMove(StageState from, StageState to) { return Contains(kStageMoves, from, to); }

}  // namespace halcyon::jobs
