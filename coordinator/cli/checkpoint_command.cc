#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cluster/outputs.h"
#include "coordinator/cli/commands.h"
#include "storage/checkpoint.h"

namespace halcyon::coordinator {
namespace {

struct CheckpointArguments {
  std::string job;
  bool json = false;
};

// The checkpoint folders of a job's gangs, or with "" of all in the state folder.
absl::StatusOr<std::vector<std::string>> CheckpointRoots(const storage::HomeLayout& home,
                                                         const std::string& job_id) {
  Env& env = *Env::Posix();
  std::vector<std::string> work_dirs;
  if (!job_id.empty()) {
    ASSIGN_OR_RETURN(const JobStatus job, FindJob(home, job_id, /*done_only=*/false));
    for (const StageStatus& stage : job.stages) {
      if (stage.fingerprint.empty()) continue;
      work_dirs.push_back(home.Work(std::string(jobs::StageName(stage.kind)), stage.fingerprint));
    }
  } else if (const std::string work = DirName(home.Work("any", "any")); env.Exists(work)) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(work));
    for (const std::string& name : names) work_dirs.push_back(JoinPath(work, name));
  }
  std::vector<std::string> roots;
  for (const std::string& dir : work_dirs) {
    std::string root = cluster::CheckpointsDir(dir);
    if (env.Exists(root)) roots.push_back(std::move(root));
  }
  return roots;
}

struct CheckpointLine {
  std::string path;
  uint64_t step = 0;
  storage::CheckpointManifest manifest;  // when `status` is OK
  absl::Status status;
};

absl::StatusOr<std::vector<CheckpointLine>> ReadCheckpoints(const CheckpointArguments& arguments,
                                                            const std::string& home_flag,
                                                            bool verify_shards) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(const std::vector<std::string> roots, CheckpointRoots(home, arguments.job));
  std::vector<CheckpointLine> lines;
  for (const std::string& root : roots) {
    storage::CheckpointStore store(*Env::Posix(), root);
    ASSIGN_OR_RETURN(const std::vector<uint64_t> steps, store.ListCommitted());
    for (const uint64_t step : steps) {
      ASSIGN_OR_RETURN(const std::string folder, store.FindCommitted(step));
      CheckpointLine line{JoinPath(root, folder), step, {}, {}};
      auto manifest = store.LoadFolder(folder, verify_shards);
      line.status = manifest.status();
      if (manifest.ok()) line.manifest = *std::move(manifest);
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

nlohmann::json CheckpointToJson(const CheckpointLine& line) {
  uint64_t bytes = 0;
  for (const storage::ShardFile& shard : line.manifest.shards) bytes += shard.bytes;
  return {{"path", line.path},
          {"step", line.step},
          {"stage", line.manifest.stage},
          {"fingerprint", line.manifest.fingerprint},
          {"world_size", line.manifest.world_size},
          {"samples_seen", line.manifest.samples_seen},
          {"bytes", bytes},
          {"ok", line.status.ok()},
          {"error", MessageOf(line.status)}};
}

absl::Status Show(const CheckpointArguments& arguments, const std::string& home_flag,
                  bool verify_shards) {
  ASSIGN_OR_RETURN(const auto lines, ReadCheckpoints(arguments, home_flag, verify_shards));
  nlohmann::json list = nlohmann::json::array();
  absl::Status first_damage, first_unreadable;
  for (const CheckpointLine& line : lines) {
    const nlohmann::json json = CheckpointToJson(line);
    absl::Status& first = absl::IsDataLoss(line.status) ? first_damage : first_unreadable;
    if (first.ok()) first = line.status;
    list.push_back(json);
    if (arguments.json) continue;
    const std::string state = !line.status.ok()
                                  ? MessageOf(line.status)
                                  : fmt::format("{} rank(s), {}{}", line.manifest.world_size,
                                                FormatBytes(json["bytes"].get<uint64_t>()),
                                                verify_shards ? ", verified" : "");
    PrintText(fmt::format("{}  {}\n", line.path, state));
  }
  if (arguments.json) PrintJson({{"checkpoints", list}});
  if (!arguments.json && lines.empty()) PrintText("no checkpoint\n");
  if (!verify_shards) return absl::OkStatus();
  if (!first_damage.ok()) return Annotate(first_damage, "damaged checkpoint");
  if (first_unreadable.ok()) return absl::OkStatus();
  return InvalidArgument("not verified: " + MessageOf(first_unreadable));
}

void AddOne(CLI::App* parent, CommandLine* line, const std::string& name,
            const std::string& description, bool verify_shards) {
  const auto arguments = std::make_shared<CheckpointArguments>();
  CLI::App* command = parent->add_subcommand(name, description);
  command->add_option("--job", arguments->job, "Only those of this job's present stages");
  command->add_flag("--json", arguments->json, "Print as JSON");
  command->callback(
      [=] { line->chosen = [=] { return Show(*arguments, line->home, verify_shards); }; });
}

}  // namespace

void AddCheckpoint(CLI::App& app, CommandLine* line) {
  CLI::App* checkpoint =
      app.add_subcommand("checkpoint", "Checkpoints of training stages, and published ones");
  checkpoint->require_subcommand(1);
  AddOne(checkpoint, line, "list", "List the committed checkpoints", /*verify_shards=*/false);
  AddOne(checkpoint, line, "verify", "Read every shard and compare it with its checksum",
         /*verify_shards=*/true);
  AddReferenceCheckpoint(*checkpoint, line);
}

}  // namespace halcyon::coordinator
