#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/terminal_text.h"
#include "coordinator/artifact_store.h"
#include "coordinator/cli/commands.h"
#include "coordinator/run_job.h"
#include "coordinator/stage_plan.h"
#include "jobs/job_spec.h"

namespace halcyon::coordinator {
namespace {

constexpr size_t kFingerprintShown = 16;

nlohmann::json ArtifactToJson(const Artifact& artifact) {
  const storage::ArtifactRecord& record = artifact.record;
  return {{"stage", jobs::StageName(record.kind)},
          {"fingerprint", record.fingerprint},
          {"content_digest", record.content_digest},
          {"bytes", record.bytes},
          {"path", record.path},
          {"job_id", record.job_id},
          {"created_ms", record.created_ms},
          {"facts", artifact.facts}};
}

absl::Status ListArtifacts(bool as_json, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  std::vector<std::string> damaged;
  ASSIGN_OR_RETURN(const auto artifacts, ScanArtifacts(*Env::Posix(), home, &damaged));
  if (as_json) {
    nlohmann::json list = nlohmann::json::array();
    for (const Artifact& artifact : artifacts) list.push_back(ArtifactToJson(artifact));
    PrintJson({{"home", home.root}, {"artifacts", list}, {"damaged", damaged}});
    return absl::OkStatus();
  }
  if (artifacts.empty()) PrintText("no artifact in " + home.root + "\n");
  for (const Artifact& artifact : artifacts) {
    const storage::ArtifactRecord& record = artifact.record;
    PrintText(fmt::format("{:<12} {} {:>10}  {}\n", jobs::StageName(record.kind),
                          record.fingerprint.substr(0, kFingerprintShown),
                          FormatBytes(record.bytes), record.job_id));
  }
  for (const std::string& line : damaged) PrintText("damaged: " + line + "\n");
  return absl::OkStatus();
}

absl::Status Verify(bool as_json, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  std::vector<std::string> damaged;
  ASSIGN_OR_RETURN(const auto artifacts, ScanArtifacts(*Env::Posix(), home, &damaged));
  nlohmann::json list = nlohmann::json::array();
  for (const Artifact& artifact : artifacts) {
    const absl::Status whole = VerifyArtifact(*Env::Posix(), artifact);
    const std::string said = whole.ok() ? "ok" : MessageOf(whole);
    if (!whole.ok()) damaged.push_back(said);
    list.push_back({{"stage", jobs::StageName(artifact.record.kind)},
                    {"path", artifact.record.path},
                    {"ok", whole.ok()},
                    {"error", whole.ok() ? "" : said}});
    if (as_json) continue;
    PrintText(fmt::format("{:<12} {}  {}\n", jobs::StageName(artifact.record.kind),
                          artifact.record.path, said));
  }
  if (as_json) PrintJson({{"home", home.root}, {"artifacts", list}, {"damaged", damaged}});
  if (damaged.empty()) return absl::OkStatus();
  return DataLoss(
      std::to_string(damaged.size()) +
      " damaged artifact(s); remove the folder and run its job again: " + damaged.front());
}

struct ExplainArguments {
  std::string job_file;
  bool json = false;
};

nlohmann::json PlanToJson(const PlannedStage& stage) {
  nlohmann::json differences = nlohmann::json::array();
  for (const jobs::FieldDifference& field : stage.differences) {
    differences.push_back(
        {{"field", field.name}, {"before", field.before}, {"after", field.after}});
  }
  return {{"stage", jobs::StageName(stage.kind)},
          {"reused", stage.reused},
          {"fingerprint", stage.fingerprint},
          {"why", stage.why},
          {"differences", differences}};
}

absl::Status Explain(const ExplainArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const jobs::JobSpec spec, jobs::LoadJobSpec(arguments.job_file));
  const JobId job = JobIdOf(spec.name, AbsolutePath(arguments.job_file));
  ASSIGN_OR_RETURN(const OwnedHome owned,
                   OpenOwnedHome(home_flag, job.value(), [](const std::string& said) {
                     PrintToStandardError(said + "\n");
                   }));
  ArtifactStore store(*Env::Posix(), *owned.journal, owned.layout);
  ASSIGN_OR_RETURN(const std::vector<PlannedStage> plan, PlanStages(spec, *owned.journal, store));
  if (arguments.json) {
    nlohmann::json stages = nlohmann::json::array();
    for (const PlannedStage& stage : plan) stages.push_back(PlanToJson(stage));
    PrintJson({{"job_id", job.value()}, {"stages", stages}});
    return absl::OkStatus();
  }
  for (const PlannedStage& stage : plan) {
    PrintText(fmt::format("{:<12} {}\n", jobs::StageName(stage.kind),
                          stage.reused ? "reused" : "to be made: " + stage.why));
  }
  return absl::OkStatus();
}

}  // namespace

void AddCache(CLI::App& app, CommandLine* line) {
  CLI::App* cache = app.add_subcommand("cache", "Finished artifacts that jobs share");
  cache->require_subcommand(1);
  const auto as_json = std::make_shared<bool>(false);
  CLI::App* list = cache->add_subcommand("list", "List the artifacts, the newest first");
  list->add_flag("--json", *as_json, "Print as JSON");
  list->callback([=] { line->chosen = [=] { return ListArtifacts(*as_json, line->home); }; });
  CLI::App* verify = cache->add_subcommand(
      "verify", "Read every byte of every artifact and compare it with its checksums");
  verify->add_flag("--json", *as_json, "Print as JSON");
  verify->callback([=] { line->chosen = [=] { return Verify(*as_json, line->home); }; });
  const auto arguments = std::make_shared<ExplainArguments>();
  CLI::App* explain = cache->add_subcommand(
      "explain", "Say which stages a run would reuse and which fields make it make the others");
  explain->add_option("job_file", arguments->job_file, "The job: a TOML file")->required();
  explain->add_flag("--json", arguments->json, "Print as JSON");
  explain->callback([=] { line->chosen = [=] { return Explain(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
