#include "cluster/external_launcher.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace halcyon::cluster {
namespace {

constexpr char kExternal[] = "external";
constexpr size_t kRanksNamedMax = 8;

std::string RanksText(const std::vector<size_t>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < std::min(ranks.size(), kRanksNamedMax); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(ranks[i]);
  }
  if (ranks.size() > kRanksNamedMax) text += ", ...";
  return text;
}

std::string MemberText(const MemberNote& note) {
  return fmt::format("the member of rank {} (pid {} on {})", note.rank, note.process.process.pid,
                     note.process.host);
}

// The first error of a rank is the cause of those that follow.
class ExternalGang final : public Gang {
 public:
  // `order`: not published yet, when it has no members.
  ExternalGang(std::string folder, std::shared_ptr<MemberWatch> watch, LaunchOrder order)
      : folder_(std::move(folder)),
        watch_(std::move(watch)),
        order_(std::move(order)),
        is_published_(!order_.members.empty()) {}

  ~ExternalGang() override {
    if (!end_ && !left_ && is_published_) PublishEnd();
  }

  std::optional<GangEnd> Poll() override {
    if (end_) return end_;
    watch_->Look();
    if (is_published_) {
      Follow();
    } else {
      Gather();
    }
    return end_;
  }

  void Kill() override {
    if (end_) return;
    if (is_published_) {
      if (!is_ending_) PublishEnd();
    } else {
      end_ = GangEnd{.failure = Unavailable("ended before all its members were there")};
    }
  }

  void Leave() override { left_ = true; }
  std::optional<ProcessIdentity> launcher() const override { return std::nullopt; }
  const std::vector<std::string>& hosts() const override { return hosts_; }
  std::string waits_for() const override { return end_ || is_published_ ? "" : waits_for_; }

  nlohmann::json record() const override {
    return {{"launcher", kExternal}, {"number", order_.number}};
  }

 private:
  void Gather() {
    if (absl::Status sizes = watch_->CheckSizes(); !sizes.ok()) {
      end_ = GangEnd{.failure = std::move(sizes)};
      return;
    }
    const std::vector<size_t> missing = watch_->Missing();
    if (!missing.empty()) {
      waits_for_ = fmt::format(
          "{} of {} members are here, missing: {}; start `halcyon member` once for each rank, by "
          "torchrun for instance",
          watch_->ranks() - missing.size(), watch_->ranks(), RanksText(missing));
      return;
    }
    for (size_t rank = 0; rank < watch_->ranks(); ++rank) {
      order_.members.push_back(watch_->note(rank).id);
    }
    is_published_ = true;
    if (absl::Status written = WriteOrder(folder_, order_); !written.ok()) {
      end_ = GangEnd{.failure = std::move(written)};
    }
  }

  void Follow() {
    bool all_ended = true;
    for (size_t rank = 0; rank < watch_->ranks(); ++rank) {
      const MemberNote& note = watch_->note(rank);
      const bool is_gone = watch_->life(rank) == MemberWatch::Life::kGone;
      const bool is_same = note.id == order_.members[rank];
      const bool has_ended = is_same && note.launch == order_.number && !note.is_running;
      if (has_ended && note.exit) {
        // Whatever has become of its member since.
        if (note.exit->ok()) continue;
        if (!exit_) exit_ = note.exit;
        Fail(rank, absl::OkStatus());
      } else if (is_gone || !is_same || note.has_left) {
        Fail(rank, Unavailable(MemberText(note) + (!is_same ? " was started in another one's place"
                                                            : " has ended, or shows no life")));
      } else if (!has_ended) {
        all_ended = false;
      } else if (!note.error.empty()) {
        Fail(rank, Unavailable(MemberText(note) + ": " + note.error));
      }
    }
    if (!all_ended) return;
    // Members that come back must not find it.
    if (has_failed_ || is_ending_) PublishEnd();
    end_ = GangEnd{.exit = exit_.value_or(ExitStatus()), .failure = failure_};
    if (is_ending_ && !exit_ && failure_.ok()) end_->exit = ExitStatus{.signal = SIGKILL};
  }

  void Fail(size_t rank, absl::Status why) {
    if (std::exchange(has_failed_, true)) return;
    // With an exit code that is the gang's end.
    if (!exit_) failure_ = std::move(why);
    spdlog::warn("launch {}: {}", order_.name,
                 exit_ ? fmt::format("rank {} ended with {}", rank, exit_->ToString())
                       : MessageOf(failure_));
    if (!is_ending_) PublishEnd();
  }

  void PublishEnd() {
    is_ending_ = true;
    // Another coordinator's order stays.
    const auto found = ReadOrder(folder_);
    if (found.ok() && found->number != order_.number) return;
    LaunchOrder end = order_;
    end.kind = LaunchOrder::Kind::kEnd;
    if (const absl::Status written = WriteOrder(folder_, end); !written.ok()) {
      spdlog::error("the members cannot be told to end their ranks: {}", MessageOf(written));
    }
  }

  const std::string folder_;
  const std::shared_ptr<MemberWatch> watch_;
  LaunchOrder order_;
  const std::vector<std::string> hosts_;
  bool is_published_, is_ending_ = false, has_failed_ = false, left_ = false;
  std::string waits_for_ = "its members";
  std::optional<ExitStatus> exit_;
  absl::Status failure_;
  std::optional<GangEnd> end_;
};

class ExternalLauncher final : public GangLauncher {
 public:
  ExternalLauncher(Env& env, Clock& clock, const std::string& job_folder, size_t ranks)
      : env_(env),
        clock_(clock),
        folder_(ExternalFolder(job_folder)),
        watch_(std::make_shared<MemberWatch>(env, clock, folder_, ranks)) {}

  // Members may come later; which are missing is said while a launch waits.
  absl::Status Check(const LauncherCheck&) override { return env_.CreateDirs(folder_); }

  absl::StatusOr<std::unique_ptr<Gang>> Launch(const GangOptions& options) override {
    if (options.ranks != watch_->ranks()) {
      return InvalidArgument("a launch of another number of ranks than launch.ranks");
    }
    RETURN_IF_ERROR(env_.CreateDirs(folder_));
    LaunchOrder order;
    ASSIGN_OR_RETURN(order.number, NextNumber());
    // Also unlike that of a launch in a folder that was removed: torchrun's store outlives it.
    order.name = fmt::format("{}/{}/{}", options.name, order.number, clock_.WallMs());
    order.argv = options.argv;
    order.env = options.env;
    order.log_path = options.log_path;
    order.working_dir = options.working_dir;
    return std::make_unique<ExternalGang>(folder_, watch_, std::move(order));
  }

  absl::StatusOr<std::unique_ptr<Gang>> Adopt(const nlohmann::json& record) override {
    if (record.value("launcher", "") != kExternal) return AdoptGang(record);
    const auto number = record.find("number");
    if (number == record.end() || !number->is_number_unsigned()) {
      return DataLoss("the record of a gang has no number");
    }
    ASSIGN_OR_RETURN(LaunchOrder order, ReadOrder(folder_));
    if (order.number != number->get<uint64_t>() || order.kind != LaunchOrder::Kind::kRun) {
      return NotFound("the launch has ended");
    }
    if (order.members.size() != watch_->ranks()) return NotFound("it has another number of ranks");
    return std::make_unique<ExternalGang>(folder_, watch_, std::move(order));
  }

  void JobEnded(int exit_code) override {
    LaunchOrder closed;
    closed.kind = LaunchOrder::Kind::kClosed;
    closed.exit_code = exit_code;
    const absl::StatusOr<uint64_t> number = NextNumber();
    absl::Status written = number.status();
    if (number.ok()) {
      closed.number = *number;
      written = WriteOrder(folder_, closed);
    }
    if (!written.ok()) {
      spdlog::error("the members cannot be told that the job has ended: {}", MessageOf(written));
    }
  }

 private:
  absl::StatusOr<uint64_t> NextNumber() {
    const auto order = ReadOrder(folder_);
    if (absl::IsNotFound(order.status())) return 1;
    RETURN_IF_ERROR(order.status());
    return order->number + 1;
  }

  Env& env_;
  Clock& clock_;
  const std::string folder_;
  const std::shared_ptr<MemberWatch> watch_;
};

}  // namespace

MemberWatch::MemberWatch(Env& env, Clock& clock, std::string folder, size_t ranks)
    : env_(env), clock_(clock), folder_(std::move(folder)), seen_(ranks) {}

void MemberWatch::Look() {
  const int64_t now_ms = clock_.MonotonicMs();
  if (has_looked_ && now_ms - looked_ms_ < kMemberLookMs) return;
  has_looked_ = true;
  looked_ms_ = now_ms;
  for (size_t rank = 0; rank < seen_.size(); ++rank) {
    Seen& seen = seen_[rank];
    auto note = ReadNote(env_, folder_, static_cast<int>(rank));
    if (note.ok() && (note->id != seen.note.id || note->beat != seen.note.beat)) {
      // The first note may be an old one: only a second one shows that its member lives.
      seen.life = note->id == seen.note.id ? Life::kHere : Life::kUnknown;
      seen.note = *std::move(note);
      seen.changed_ms = now_ms;
    }
    const LocatedProcess& process = seen.note.process;
    if (seen.note.has_left || now_ms - seen.changed_ms >= kMemberGoneMs) {
      seen.life = Life::kGone;
    } else if (process.IsOnThisMachine()) {
      seen.life = IsAlive(process.process) ? Life::kHere : Life::kGone;
    }
  }
}

std::vector<size_t> MemberWatch::Missing() const {
  std::vector<size_t> missing;
  for (size_t rank = 0; rank < seen_.size(); ++rank) {
    if (seen_[rank].life != Life::kHere) missing.push_back(rank);
  }
  return missing;
}

absl::Status MemberWatch::CheckSizes() const {
  for (const Seen& seen : seen_) {
    if (seen.life != Life::kHere || seen.note.world_size == static_cast<int>(seen_.size())) {
      continue;
    }
    return InvalidArgument(fmt::format("{} is of a world of {} (WORLD_SIZE), launch.ranks is {}",
                                       MemberText(seen.note), seen.note.world_size, seen_.size()));
  }
  return absl::OkStatus();
}

std::unique_ptr<GangLauncher> MakeExternalLauncher(Env& env, Clock& clock,
                                                   const std::string& job_folder, size_t ranks) {
  return std::make_unique<ExternalLauncher>(env, clock, job_folder, ranks);
}

}  // namespace halcyon::cluster
