#include "coordinator/run/gang_watch.h"

#include <algorithm>

#include <fmt/format.h>

#include "cluster/work_progress.h"

namespace halcyon::coordinator {
namespace {

// A rank is slow when it computes so many times as long as the others, and that is most of a step.
constexpr double kSlowFactor = 2;
constexpr double kSlowShareMin = 0.5;

bool IsSilent(const WorkerBeat& beat) { return beat.silent_ms >= kSilentMsMin; }

bool IsCollective(const cluster::Activity& activity) {
  return activity.phase == cluster::NameOf(cluster::WorkPhase::kCollective);
}

std::string CollectiveOf(const cluster::Activity& activity) {
  return fmt::format("{}, number {}", activity.what, activity.collective);
}

std::string On(const std::string& host) { return host.empty() ? "" : " on " + host; }

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

std::string_view NameOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kRunning:
      return "running";
    case Verdict::kWaiting:
      return "waiting";
    case Verdict::kSlow:
      return "slow";
    case Verdict::kStuck:
      return "stuck";
    case Verdict::kSilent:
      return "silent";
    case Verdict::kStopped:
      return "stopped";
    case Verdict::kCutOff:
      return "cut off";
  }
  return "unknown";
}

void GangWatch::Begin(size_t ranks) {
  ranks_.clear();
  slow_.clear();
  window_beats_ = 0;
  ranks_wanted_ = ranks;
}

void GangWatch::OnHello(const WorkerId& worker, const cluster::Hello& hello) {
  Rank& rank = ranks_[worker];
  rank.number = hello.rank;
  rank.host = hello.host;
  rank.pid = hello.pid;
  rank.start_time = hello.start_time;
  if (ranks_.size() < ranks_wanted_) return;
  ranks_by_host_.clear();
  for (const auto& [id, one] : ranks_) ++ranks_by_host_[one.host];
}

void GangWatch::Take(const std::vector<WorkerBeat>& beats) {
  for (const WorkerBeat& beat : beats) {
    const auto it = ranks_.find(beat.worker);
    if (it == ranks_.end()) continue;
    Rank& rank = it->second;
    rank.is_stopped = beat.is_stopped;
    // Before it has said what it does nothing else is known of it.
    if (beat.activity.phase.empty()) continue;
    rank.beat = beat;
    rank.reader.Take(beat.activity, beat.activity.phase, &past_);
    if (beat.activity.step >= 0 && !IsCollective(beat.activity)) ++rank.busy;
  }
  if (++window_beats_ >= kSlowBeats) EndWindow();
}

// Ranks of a gang make the same number of steps in a time, so the share of its beats in which one
// computes is to those of the others as the times that they compute for a step.
void GangWatch::EndWindow() {
  window_beats_ = 0;
  for (auto& [id, rank] : ranks_) {
    std::vector<double> others;
    for (const auto& [other_id, other] : ranks_) {
      if (other_id != id) others.push_back(other.busy);
    }
    if (others.empty()) continue;
    const double typical = std::max(Median(others), 1.0);
    const bool is_slow =
        rank.busy >= kSlowShareMin * kSlowBeats && rank.busy >= kSlowFactor * typical;
    if (is_slow && !rank.is_slow) {
      slow_.push_back(
          fmt::format("rank {}{} is slow: it computes {:.1f} times as long for a step as the "
                      "others, which wait "
                      "for it",
                      rank.number, On(rank.host), rank.busy / typical));
    }
    rank.is_slow = is_slow;
  }
  for (auto& [id, rank] : ranks_) rank.busy = 0;
}

std::vector<std::string> GangWatch::TakeSlow() { return std::exchange(slow_, {}); }

std::string GangWatch::Missing(uint64_t number) const {
  std::string numbers;
  int count = 0;
  for (const auto& [id, rank] : ranks_) {
    if (!rank.beat || rank.beat->activity.collectives >= number) continue;
    numbers += (numbers.empty() ? "" : ", ") + std::to_string(rank.number);
    ++count;
  }
  if (count == 0) return "";
  return (count == 1 ? "rank " : "ranks ") + numbers;
}

bool GangWatch::Waits(const Rank& rank) const {
  const cluster::Activity& activity = rank.beat->activity;
  if (IsCollective(activity)) return true;
  // A rank of a GPU does not wait for its collectives itself: what it has its device compute does.
  return activity.collective > 0 && !Missing(activity.collective).empty();
}

std::string GangWatch::WaitingFor(const Rank& rank) const {
  if (!rank.beat || !Waits(rank)) return "";
  const cluster::Activity& activity = rank.beat->activity;
  const std::string missing = Missing(activity.collective);
  if (!missing.empty()) return missing;
  return IsCollective(activity) ? CollectiveOf(activity) : "";
}

std::optional<GangWatch::Hang> GangWatch::FindHang() const {
  if (ranks_.size() < ranks_wanted_) return std::nullopt;
  for (const auto& [id, rank] : ranks_) {
    if (!rank.beat || IsSilent(*rank.beat)) return std::nullopt;
  }
  bool all_wait = true;
  for (const auto& [id, rank] : ranks_) {
    if (Waits(rank)) continue;
    all_wait = false;
    const cluster::Activity& activity = rank.beat->activity;
    if (!past_.Hangs(activity.phase, activity.age_ms)) continue;
    return Hang{fmt::format("rank {}{} is stuck in {} (at most {} s are expected)", rank.number,
                            On(rank.host), cluster::Describe(activity),
                            past_.LimitMs(activity.phase) / 1000),
                rank.host};
  }
  return all_wait ? NetworkHang() : std::nullopt;
}

std::optional<GangWatch::Hang> GangWatch::NetworkHang() const {
  const Rank* first = nullptr;  // in the order of collectives
  for (const auto& [id, rank] : ranks_) {
    const cluster::Activity& activity = rank.beat->activity;
    if (!past_.Hangs(activity.phase, activity.age_ms)) return std::nullopt;
    if (first == nullptr || activity.collective < first->beat->activity.collective) first = &rank;
  }
  if (first == nullptr) return std::nullopt;
  return Hang{fmt::format("the network between the ranks does not work: rank {}{} is in {}, to "
                          "which all ranks have come",
                          first->number, On(first->host), cluster::Describe(first->beat->activity)),
              ""};
}

bool GangWatch::IsCutOff(const std::string& host) const {
  bool others_send = false;
  for (const auto& [id, rank] : ranks_) {
    if (!rank.beat) continue;
    if (rank.host == host && !IsSilent(*rank.beat)) return false;
    others_send = others_send || (rank.host != host && !IsSilent(*rank.beat));
  }
  return others_send;
}

WorkerHealth GangWatch::HealthOf(const WorkerId& id, const Rank& rank) const {
  WorkerHealth health{.worker = id.name,
                      .rank = rank.number,
                      .host = rank.host,
                      .pid = rank.pid,
                      .start_time = rank.start_time};
  if (!rank.beat) return health;
  cluster::Activity activity = rank.beat->activity;
  health.step = activity.step;
  health.age_ms = activity.age_ms;
  activity.step = -1;
  activity.age_ms = 0;
  health.phase = cluster::Describe(activity);
  health.waits_for = WaitingFor(rank);
  if (IsSilent(*rank.beat)) {
    health.age_ms = rank.beat->silent_ms;
    health.verdict = rank.beat->is_stopped ? Verdict::kStopped
                     : IsCutOff(rank.host) ? Verdict::kCutOff
                                           : Verdict::kSilent;
  } else if (Waits(rank)) {
    health.verdict = Verdict::kWaiting;
  } else if (past_.Hangs(activity.phase, health.age_ms)) {
    health.verdict = Verdict::kStuck;
  } else if (rank.is_slow) {
    health.verdict = Verdict::kSlow;
  }
  return health;
}

std::vector<WorkerHealth> GangWatch::Health() const {
  std::vector<WorkerHealth> health;
  for (const auto& [id, rank] : ranks_) health.push_back(HealthOf(id, rank));
  std::sort(health.begin(), health.end(),
            [](const auto& a, const auto& b) { return a.rank < b.rank; });
  return health;
}

std::string GangWatch::WhySilent(const WorkerId& worker) const {
  const auto it = ranks_.find(worker);
  if (it == ranks_.end()) return "";
  const std::string& host = it->second.host;
  if (it->second.is_stopped) {
    return "; its process exists" + On(host) +
           ", but is stopped: SIGSTOP, a debugger or a frozen container";
  }
  if (!it->second.beat || !IsCutOff(host)) return "";
  const auto ranks = ranks_by_host_.find(host);
  return fmt::format(
      "; nothing comes from any of the {} ranks{}: the machine is down, or cut off "
      "from the network",
      ranks == ranks_by_host_.end() ? 1 : ranks->second, On(host));
}

std::string GangWatch::HostOf(const WorkerId& worker) const {
  const auto it = ranks_.find(worker);
  return it == ranks_.end() ? "" : it->second.host;
}

}  // namespace halcyon::coordinator
