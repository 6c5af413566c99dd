#include "cluster/external_member.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "base/process_identity.h"
#include "cluster/launcher_parts.h"

namespace halcyon::cluster {
namespace {

// The generation tells starts in one process apart, the rest those of several at the same time.
std::string NewMemberId(const MemberNote& note) {
  const ProcessIdentity& process = note.process.process;
  return fmt::format("{}-{}-{}-{}", note.generation, process.pid, process.start_time,
                     Clock::Real()->WallMs());
}

}  // namespace

ExternalMember::ExternalMember(Env& env, Clock& clock, MemberOptions options)
    : env_(env), clock_(clock), options_(std::move(options)) {
  note_.rank = options_.world.rank;
  note_.local_rank = options_.world.local_rank;
  note_.world_size = options_.world.size;
  note_.process = LocatedProcess::OfThisProcess();
}

ExternalMember::~ExternalMember() {
  Kill();
  note_.has_left = true;
  const auto found = ReadNote(env_, options_.folder, note_.rank);
  if (!found.ok() || found->id != note_.id) return;
  if (const absl::Status written = WriteBeat(); !written.ok()) {
    spdlog::warn("{}", MessageOf(written));
  }
}

absl::Status ExternalMember::Join() {
  RETURN_IF_ERROR(env_.CreateDirs(options_.folder));
  const auto before = ReadNote(env_, options_.folder, note_.rank);
  note_.generation = before.ok() ? before->generation + 1 : 1;
  note_.id = NewMemberId(note_);
  RETURN_IF_ERROR(WriteBeat());
  const auto order = ReadOrder(options_.folder);
  if (order.ok() && order->kind == LaunchOrder::Kind::kClosed) {
    closed_before_ = order->number;
    closed_code_ = order->exit_code;
  }
  sign_ = options_.coordinator_sign();
  sign_ms_ = clock_.MonotonicMs();
  return absl::OkStatus();
}

absl::Status ExternalMember::WriteBeat() {
  ++note_.beat;
  is_written_ = true;
  written_ms_ = clock_.MonotonicMs();
  return WriteNote(env_, options_.folder, note_);
}

absl::StatusOr<int> ExternalMember::Run() {
  RETURN_IF_ERROR(Join());
  while (true) {
    if (auto end = Turn()) return *std::move(end);
    clock_.SleepMs(kMemberPollMs);
  }
}

std::optional<absl::StatusOr<int>> ExternalMember::Turn() {
  if (auto why = WhyEnd()) return *std::move(why);
  const auto order = ReadOrder(options_.folder);
  if (order.ok() && order->kind == LaunchOrder::Kind::kClosed && order->number != closed_before_) {
    Kill();
    return order->exit_code;
  }
  if (order.ok()) {
    Obey(*order);
  } else if (!absl::IsNotFound(order.status())) {
    return order.status();
  }
  Reap();
  if (is_written_ && clock_.MonotonicMs() - written_ms_ < kMemberBeatMs) return std::nullopt;
  // A file system that fails for a moment does not end the rank; one that fails for longer lets
  // this member pass for dead, and the coordinator launches again.
  if (const absl::Status written = WriteBeat(); !written.ok()) {
    is_written_ = false;
    spdlog::warn("{}", MessageOf(written));
  }
  return std::nullopt;
}

std::optional<absl::Status> ExternalMember::WhyEnd() {
  const int signals = options_.signals();
  if (signals > 0 && !signalled_ms_) signalled_ms_ = clock_.MonotonicMs();
  const bool may_go_on =
      !signalled_ms_ || (signals < 2 && rank_ != nullptr &&
                         clock_.MonotonicMs() - *signalled_ms_ < options_.stop_grace_ms);
  if (!may_go_on) {
    Kill();
    return Aborted(fmt::format("the member of rank {} was told to end", note_.rank));
  }
  if (!is_written_ || clock_.MonotonicMs() - written_ms_ >= kMemberBeatMs) {
    const auto found = ReadNote(env_, options_.folder, note_.rank);
    const bool is_other = found.ok() && found->id != note_.id;
    if (is_other &&
        std::pair(found->generation, found->id) > std::pair(note_.generation, note_.id)) {
      Kill();
      return Aborted(fmt::format("another member has taken the place of rank {}: {} (pid {})",
                                 note_.rank, found->process.host, found->process.process.pid));
    }
    const std::string sign = options_.coordinator_sign();
    if (sign != sign_ || rank_ != nullptr) sign_ms_ = clock_.MonotonicMs();
    sign_ = sign;
  }
  if (clock_.MonotonicMs() - sign_ms_ < options_.coordinator_wait_ms) return std::nullopt;
  return Unavailable(fmt::format("the job has had no coordinator for {} s; start `halcyon run`",
                                 options_.coordinator_wait_ms / 1000));
}

void ExternalMember::Obey(const LaunchOrder& order) {
  if (order.kind != LaunchOrder::Kind::kRun) {
    Kill();
    // Also when the launch was over before this member had seen it.
    if (order.number > note_.launch) {
      note_.launch = order.number;
      note_.exit.reset();
      is_written_ = false;
    }
    return;
  }
  if (order.number == note_.launch || signalled_ms_) return;
  // A launch that is not for this member has other ranks; that of an earlier one is over.
  Kill();
  const auto rank = static_cast<size_t>(note_.rank);
  if (rank >= order.members.size() || order.members[rank] != note_.id) return;
  Start(order);
}

void ExternalMember::Start(const LaunchOrder& order) {
  ProcessOptions process;
  process.argv = order.argv;
  process.env = order.env;
  process.env[kExternalLaunchVariable] = order.name;
  process.output_path = order.log_path;
  process.working_dir = order.working_dir;
  process.env_prefixes_dropped = ForeignLauncherPrefixes();
  process.block_stop_signals = true;
  note_.launch = order.number;
  note_.exit.reset();
  note_.error.clear();
  auto started = ChildProcess::Spawn(process);
  note_.is_running = started.ok();
  is_written_ = false;
  if (started.ok()) {
    rank_ = *std::move(started);
    spdlog::info("launch {}: rank {} is process {}", order.name, note_.rank, rank_->pid());
  } else {
    note_.error = MessageOf(started.status());
    spdlog::error("launch {}: {}", order.name, note_.error);
  }
}

void ExternalMember::Kill() {
  if (rank_ == nullptr) return;
  rank_->SignalGroup(SIGKILL);
  clock_.WaitFor([this] { return rank_->Poll().has_value(); }, /*timeout_ms=*/10'000);
  Reap();
  rank_.reset();
  note_.is_running = false;
  is_written_ = false;
}

void ExternalMember::Reap() {
  if (rank_ == nullptr) return;
  const auto exit = rank_->Poll();
  if (!exit) return;
  spdlog::info("rank {} ended with {}", note_.rank, exit->ToString());
  note_.exit = *exit;
  note_.is_running = false;
  is_written_ = false;
  rank_.reset();
}

}  // namespace halcyon::cluster
