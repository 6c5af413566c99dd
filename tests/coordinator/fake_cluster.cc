#include "tests/coordinator/fake_cluster.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "base/digest.h"
#include "base/env.h"
#include "cluster/outputs.h"
#include "storage/checkpoint.h"
#include "storage/latent_cache.h"
#include "storage/token_cache.h"

namespace halcyon::coordinator {
namespace {

using nlohmann::json;

constexpr uint32_t kLatentSize = 2;

json SstJson(const storage::SstFile& file) {
  return {{"sst", {{"file_checksum", file.file_checksum}, {"bytes", file.bytes}}},
          {"facts", json::object()}};
}

std::string SstPath(const cluster::Lease& lease) {
  const auto shard = static_cast<uint32_t>(std::stoul(lease.task.substr(lease.task.find('/') + 1)));
  return cluster::ShardOutputPath(lease.assignment, lease.fence, shard);
}

json MakeTokens(const cluster::Lease& lease) {
  const uint32_t shard = lease.parameters.at("shard").get<uint32_t>();
  storage::TokenShardWriter writer(SstPath(lease), lease.assignment.fingerprint, shard, lease.fence,
                                   300);
  const std::vector<uint32_t> document = {shard, 1, 2};
  writer.AddDocument(storage::Split::kTrain, document);
  const auto file = writer.Finish({});
  EXPECT_TRUE(file.ok()) << file.status();
  return SstJson(*file);
}

json MakeLatents(const cluster::Lease& lease) {
  const uint32_t shard = lease.parameters.at("shard").get<uint32_t>();
  auto writer =
      storage::LatentShardWriter::Create(SstPath(lease), lease.assignment.fingerprint, shard,
                                         lease.fence, kLatentSize, jobs::LatentFormat::kFloat16);
  EXPECT_TRUE(writer.ok()) << writer.status();
  const std::vector<float> posterior(2 * kLatentSize, 0.5f);
  EXPECT_TRUE((*writer)->Append(storage::Split::kTrain, posterior).ok());
  const auto file = (*writer)->Finish();
  EXPECT_TRUE(file.ok()) << file.status();
  return SstJson(*file);
}

// An artifact folder whose contents follow from the stage's inputs.
json MakeFolder(const cluster::StageAssignment& assignment, const std::string& out) {
  Env& env = *Env::Posix();
  EXPECT_TRUE(env.RemoveTree(out).ok());
  EXPECT_TRUE(env.CreateDirs(out).ok());
  const std::string bytes = "made of " + assignment.fingerprint;
  EXPECT_TRUE(WriteFileAtomically(env, JoinPath(out, "made.txt"), bytes).ok());
  return {
      {"content_digest", Sha256::Of(bytes)}, {"bytes", bytes.size()}, {"facts", {{"steps", 3}}}};
}

absl::StatusOr<std::unique_ptr<cluster::Gang>> StartAsGang(std::vector<std::string> argv,
                                                           const std::string& output_path) {
  ASSIGN_OR_RETURN(auto child,
                   cluster::ChildProcess::Spawn(
                       {.argv = std::move(argv), .env = {}, .output_path = output_path}));
  return cluster::MakeGang(std::move(child), {.launcher = "exec", .hosts = {}});
}

}  // namespace

void FakeCluster::Send(const WorkerId& worker, cluster::Body body) {
  const uint64_t sequence = cluster::IsSequenced(body) ? ++sent_[worker] : 0;
  inbox_.push_back(cluster::Message{job_, worker, incarnation_, std::move(body), sequence});
}

absl::StatusOr<std::optional<cluster::Message>> FakeCluster::Receive(int64_t timeout_ms) {
  if (on_turn) on_turn();
  if (gang_ends_ms_ && clock_->MonotonicMs() >= *gang_ends_ms_) EndGang();
  if (!inbox_.empty()) {
    // Through the wire format, as between processes.
    inbox_.front().acknowledged = received_[inbox_.front().worker];
    const auto message = cluster::Decode(cluster::Encode(inbox_.front()));
    inbox_.pop_front();
    RETURN_IF_ERROR(message.status());
    return std::optional(*message);
  }
  clock_->AdvanceMs(timeout_ms);
  std::this_thread::yield();
  if (clock_->MonotonicMs() - alive_sent_ms_ >= 1000) {
    alive_sent_ms_ = clock_->MonotonicMs();
    for (const auto& [agent, pid] : agents_) Send(agent, cluster::Alive{{"idle"}});
    for (const WorkerId& rank : gang_ranks_) Send(rank, cluster::Alive{{"step 1"}});
  }
  return std::nullopt;
}

absl::Status FakeCluster::Send(const cluster::Message& message) {
  if (cluster::IsSequenced(message.body)) {
    uint64_t& received = received_[message.worker];
    if (message.sequence != received + 1) return absl::OkStatus();  // it came before
    received = message.sequence;
  }
  if (const auto* lease = std::get_if<cluster::Lease>(&message.body)) {
    OnLease(message.worker, *lease);
  } else if (const auto* welcome = std::get_if<cluster::Welcome>(&message.body)) {
    OnWelcome(message.worker, welcome->assignment);
  } else if (std::holds_alternative<cluster::Stop>(message.body)) {
    OnStop(message.worker);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<cluster::Gang>> FakeCluster::Spawn(const WorkerId& agent) {
  if (const auto script = on_spawn ? on_spawn(agent) : std::nullopt) {
    return StartAsGang({"sh", "-c", *script}, agent_log);
  }
  auto child = StartAsGang({"sleep", "1000"}, "/dev/null");
  RETURN_IF_ERROR(child.status());
  agents_[agent] = (*child)->launcher()->pid;
  Send(agent, cluster::Hello{"agent", "", 0, (*child)->launcher()->pid, 0, ""});
  Send(agent, cluster::Ready{});
  return child;
}

void FakeCluster::OnLease(const WorkerId& worker, const cluster::Lease& lease) {
  leases.push_back(lease.task);
  assignments[lease.assignment.stage] = lease.assignment;
  parameters[lease.task] = lease.parameters;
  const std::optional<Fault> chosen = on_lease ? on_lease(lease) : std::nullopt;
  const Fault fault = chosen.value_or(Fault::kNone);
  if (fault == Fault::kStopJob) stops = 1;
  if (fault == Fault::kDie) {
    kill(agents_.at(worker), SIGKILL);
    agents_.erase(worker);
    return;
  }
  if (fault == Fault::kFailBadInput || fault == Fault::kFailByChance) {
    const auto code = fault == Fault::kFailBadInput ? absl::StatusCode::kInvalidArgument
                                                    : absl::StatusCode::kInternal;
    Send(worker,
         cluster::TaskFailed{lease.task, lease.fence, static_cast<int>(code), "corpus.txt:7"});
    Send(worker, cluster::Ready{lease.fence});
    return;
  }
  if (fault == Fault::kSendStaleFirst) {
    Send(worker, cluster::TaskDone{lease.task, lease.fence - 1, json::object()});
  }
  Send(worker, cluster::TaskProgress{lease.task, lease.fence, 0.5});
  const std::string& stage = lease.assignment.stage;
  json result =
      stage == "tokens" ? MakeTokens(lease)
      : stage == "latents"
          ? MakeLatents(lease)
          : MakeFolder(lease.assignment, cluster::TaskOutputDir(lease.assignment, lease.fence));
  for (const std::string& warning : warnings) {
    result["warnings"].push_back(warning + " in " + lease.task);
  }
  if (fault == Fault::kBreakSst) {
    const std::string path = SstPath(lease);
    std::string bytes = *Env::Posix()->ReadFile(path);
    bytes[bytes.size() / 2] ^= 1;
    EXPECT_TRUE(WriteFileAtomically(*Env::Posix(), path, bytes).ok());
  }
  Send(worker, cluster::TaskDone{lease.task, lease.fence, result});
  Send(worker, cluster::Ready{lease.fence});
}

absl::StatusOr<std::unique_ptr<cluster::Gang>> FakeCluster::Launch(
    const cluster::GangOptions& options) {
  const auto after = [&](const std::string& flag) {
    return *(std::find(options.argv.begin(), options.argv.end(), flag) + 1);
  };
  const std::string prefix = after("--name-prefix");
  const std::string stage = prefix.substr(0, prefix.rfind("-rank"));
  const int launch = ++launches[stage];
  if (const auto script = on_launch ? on_launch(stage, launch) : std::nullopt) {
    return StartAsGang({"sh", "-c", *script}, options.log_path);
  }
  const absl::Status ends = on_gang ? on_gang(stage, launch) : absl::OkStatus();
  const std::vector<std::string> argv =
      gangs_wait_for_stop ? std::vector<std::string>{"sleep", "1000"}
                          : std::vector<std::string>{ends.ok() ? "true" : "false"};
  auto child = StartAsGang(argv, "/dev/null");
  RETURN_IF_ERROR(child.status());
  gang_pid_ = (*child)->launcher()->pid;
  for (uint32_t rank = 0; rank < options.ranks; ++rank) {
    const WorkerId worker{prefix + "-" + std::to_string(rank),
                          std::stoull(after("--worker-incarnation"))};
    const pid_t pid = hello_pid != 0 ? hello_pid : gang_pid_;
    const auto process = cluster::IdentityOfProcess(pid);
    Send(worker, cluster::Hello{"rank", stage, rank, pid, process ? process->start_time : 0,
                                cluster::BootId()});
  }
  return child;
}

void FakeCluster::OnWelcome(const WorkerId& worker, const cluster::StageAssignment& assignment) {
  if (assignment.stage.empty()) return;  // an agent's
  assignments[assignment.stage] = assignment;
  const auto fence =
      storage::CheckpointStore(*Env::Posix(), JoinPath(assignment.work_dir, "checkpoints"))
          .ReadFence();
  fence_file_seen =
      fence_file_seen && fence.ok() && fence->launch > 0 && fence->claim == assignment.claim;
  const bool is_first = worker.name.ends_with("-0");
  const uint32_t rank =
      static_cast<uint32_t>(std::stoul(worker.name.substr(worker.name.rfind('-') + 1)));
  const std::string& stage = assignment.stage;
  if (is_first)
    Send(worker, cluster::TrainProgress{stage, 1, 3, {{"loss", 2.5}, {"resumed_from", 0}}});
  if (gangs_wait_for_stop) {
    gang_stage_ = stage;
    gang_ranks_.push_back(worker);
    stops = 1;
    return;
  }
  const absl::Status ends = on_gang ? on_gang(stage, launches[stage]) : absl::OkStatus();
  Send(worker, cluster::RankEnded{stage, rank, static_cast<int>(ends.code()), MessageOf(ends),
                                  is_first && ends.ok()
                                      ? MakeFolder(assignment, cluster::GangOutputDir(assignment))
                                      : json()});
}

void FakeCluster::OnStop(const WorkerId& worker) {
  if (agents_.contains(worker)) {
    kill(agents_[worker], SIGKILL);
    agents_.erase(worker);
  } else if (!gang_ends_ms_ && std::ranges::find(gang_ranks_, worker) != gang_ranks_.end()) {
    gang_ends_ms_ = clock_->MonotonicMs() + last_step_ms;
  }
}

void FakeCluster::EndGang() {
  gang_ends_ms_.reset();
  if (gangs_save) {
    const std::string step = assignments[gang_stage_].work_dir + "/checkpoints/step-00000001";
    EXPECT_TRUE(Env::Posix()->CreateDirs(step).ok());
    EXPECT_TRUE(WriteFileAtomically(*Env::Posix(), step + "/COMMIT", "").ok());
    for (uint32_t rank = 0; rank < gang_ranks_.size(); ++rank) {
      Send(gang_ranks_[rank],
           cluster::RankEnded{gang_stage_, rank, static_cast<int>(absl::StatusCode::kAborted),
                              "stopped after step 1", json()});
    }
  }
  gang_ranks_.clear();
  if (gang_pid_ > 0) kill(gang_pid_, SIGTERM);
}

}  // namespace halcyon::coordinator
