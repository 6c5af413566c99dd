#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/terminal_text.h"
#include "coordinator/cli/commands.h"
#include "coordinator/display/explain.h"
#include "coordinator/run_job.h"
#include "coordinator/stages/artifact_store.h"
#include "coordinator/stages/latents_rule.h"
#include "coordinator/stages/stage_plan.h"
#include "jobs/job_spec.h"
#include "jobs/stage_identity.h"
#include "storage/artifact.h"

namespace halcyon::coordinator {
namespace {

struct ExplainArguments {
  std::string first, second;
  std::vector<std::string> set;
  bool json = false;
};

nlohmann::json DifferencesToJson(const std::vector<jobs::FieldDifference>& differences) {
  nlohmann::json list = nlohmann::json::array();
  for (const jobs::FieldDifference& field : differences) {
    list.push_back({{"field", field.name}, {"before", field.before}, {"after", field.after}});
  }
  return list;
}

nlohmann::json PlanToJson(const PlannedStage& stage) {
  return {{"stage", jobs::StageName(stage.kind)},
          {"reused", stage.reused},
          {"fingerprint", stage.fingerprint},
          {"why", stage.why},
          {"notes", stage.notes},
          {"differences", DifferencesToJson(stage.differences)}};
}

// With what data.latents = "auto" came to, where the job has decided it.
absl::StatusOr<std::vector<PlannedStage>> PlanOf(const std::string& job_file, jobs::JobSpec spec,
                                                 const std::string& home_flag) {
  ASSIGN_OR_RETURN(const std::string root, storage::ChooseHome(home_flag));
  ASSIGN_OR_RETURN(const storage::HomeLayout home, storage::OpenHome(root));
  const JobId job = JobIdOf(spec.name, AbsolutePath(job_file));
  RETURN_IF_ERROR(SettleLatents(
      *Env::Posix(), root, home.Job(job.value()), /*machine=*/nullptr, [](const std::string&) {},
      &spec));
  ArtifactStore store(*Env::Posix(), home);
  return PlanStages(spec, home, store);
}

absl::Status ExplainJob(const ExplainArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const jobs::JobSpec spec, LoadJob(arguments.first, arguments.set));
  const JobId job = JobIdOf(spec.name, AbsolutePath(arguments.first));
  ASSIGN_OR_RETURN(const std::vector<PlannedStage> plan, PlanOf(arguments.first, spec, home_flag));
  if (arguments.json) {
    nlohmann::json stages = nlohmann::json::array();
    for (const PlannedStage& stage : plan) stages.push_back(PlanToJson(stage));
    PrintJson({{"job_id", job.value()}, {"stages", stages}});
    return absl::OkStatus();
  }
  for (const PlannedStage& stage : plan) {
    PrintText(fmt::format("{:<12} {}\n", jobs::StageName(stage.kind),
                          stage.reused ? "reused" : "to be made: " + stage.why));
    for (const std::string& note : stage.notes) {
      PrintText(fmt::format("{:<12} {}\n", jobs::StageName(stage.kind), note));
    }
  }
  return absl::OkStatus();
}

void PrintDifferences(std::string_view stage,
                      const std::vector<jobs::FieldDifference>& differences) {
  if (differences.empty()) PrintText(fmt::format("{:<12} the same\n", stage));
  for (const jobs::FieldDifference& field : differences) {
    PrintText(fmt::format("{:<12} {}\n", stage, Describe({field})));
  }
}

absl::Status CompareJobs(const ExplainArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const jobs::JobSpec first, LoadJob(arguments.first, {}));
  ASSIGN_OR_RETURN(const jobs::JobSpec second, LoadJob(arguments.second, {}));
  ASSIGN_OR_RETURN(const auto before, PlanOf(arguments.first, first, home_flag));
  ASSIGN_OR_RETURN(const auto after, PlanOf(arguments.second, second, home_flag));
  nlohmann::json stages = nlohmann::json::array();
  for (const StageDifference& stage : CompareStages(before, after)) {
    const std::string_view name = jobs::StageName(stage.kind);
    stages.push_back({{"stage", name},
                      {"only_in", stage.only_in},
                      {"differences", DifferencesToJson(stage.fields)}});
    if (arguments.json) continue;
    if (stage.only_in == 0) {
      PrintDifferences(name, stage.fields);
    } else {
      PrintText(fmt::format("{:<12} only in {}\n", name,
                            stage.only_in == 1 ? arguments.first : arguments.second));
    }
  }
  if (arguments.json) PrintJson({{"stages", stages}});
  return absl::OkStatus();
}

// nullopt: `path` is no folder with an artifact.json.
absl::StatusOr<std::optional<Artifact>> ArtifactAt(const std::string& path) {
  auto artifact = storage::ReadArtifact(*Env::Posix(), AbsolutePath(path));
  if (artifact.ok()) return *std::move(artifact);
  if (Env::Posix()->ListDir(AbsolutePath(path)).ok()) return artifact.status();
  return std::nullopt;
}

absl::Status CompareArtifacts(const ExplainArguments& arguments, const Artifact& first,
                              const Artifact& second) {
  const std::string_view name = jobs::StageName(first.record.kind);
  if (first.record.kind != second.record.kind) {
    return InvalidArgument(
        fmt::format("{} is an artifact of the {} stage, {} of the {} stage; give "
                    "two of one stage",
                    arguments.first, name, arguments.second, jobs::StageName(second.record.kind)));
  }
  const auto differences = jobs::Differences(first.record.fields, second.record.fields);
  if (arguments.json) {
    PrintJson(
        {{"stages",
          {{{"stage", name}, {"only_in", 0}, {"differences", DifferencesToJson(differences)}}}}});
  } else {
    PrintDifferences(name, differences);
  }
  return absl::OkStatus();
}

absl::Status Explain(const ExplainArguments& arguments, const std::string& home_flag) {
  if (arguments.second.empty()) return ExplainJob(arguments, home_flag);
  if (!arguments.set.empty()) {
    return InvalidArgument("--set is for one job; write the change into one of the two files");
  }
  ASSIGN_OR_RETURN(const auto first, ArtifactAt(arguments.first));
  ASSIGN_OR_RETURN(const auto second, ArtifactAt(arguments.second));
  if (first && second) return CompareArtifacts(arguments, *first, *second);
  if (!first && !second) return CompareJobs(arguments, home_flag);
  return InvalidArgument(fmt::format(
      "{} is an artifact, {} is none; give two job files or two folders of artifacts",
      first ? arguments.first : arguments.second, first ? arguments.second : arguments.first));
}

}  // namespace

void AddCacheExplain(CLI::App* cache, CommandLine* line) {
  const auto arguments = std::make_shared<ExplainArguments>();
  CLI::App* explain = cache->add_subcommand(
      "explain",
      "Print which stages a run would reuse and which fields make it make the others; of two jobs, "
      "or two artifacts, what differs between them");
  explain->add_option("job_file", arguments->first, "The job: a TOML file")->required();
  explain->add_option("other", arguments->second,
                      "A second job file; or give two folders of artifacts");
  AddSet(explain, &arguments->set);
  explain->add_flag("--json", arguments->json, "Print as JSON");
  explain->callback([=] { line->chosen = [=] { return Explain(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
