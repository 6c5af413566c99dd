#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "coordinator/cli/commands.h"
#include "coordinator/display/progress_view.h"
#include "coordinator/housekeeping/disk_usage.h"
#include "coordinator/submit/whereabouts.h"
#include "storage/artifact.h"

namespace halcyon::coordinator {
namespace {

constexpr std::string_view kRow = "{:<32} {:<11} {:<11} {:>8} {:>9} {:>8} {:>9}  {}\n";

// The stage that a job is at: the first that is not finished.
std::string StageWord(const JobStatus& status) {
  for (const StageStatus& stage : status.stages) {
    if (stage.state != jobs::StageState::kDone && stage.state != jobs::StageState::kReused) {
      return std::string(jobs::StageName(stage.kind));
    }
  }
  return "all stages";
}

// The figures of a finished job, by their names in the facts of its artifacts.
nlohmann::json ScoresOf(const storage::HomeLayout& home, const JobStatus& job) {
  nlohmann::json scores = nlohmann::json::object();
  if (job.state != jobs::JobState::kDone) return scores;
  const auto take = [&](jobs::StageKind kind, std::initializer_list<const char*> names) {
    const StageStatus* stage = job.Find(kind);
    if (stage == nullptr || stage->fingerprint.empty()) return;
    const auto artifact = storage::ReadArtifact(
        *Env::Posix(), home.Artifact(std::string(jobs::StageName(kind)), stage->fingerprint));
    if (!artifact.ok()) return;
    for (const char* name : names) {
      const auto found = artifact->facts.find(name);
      if (found != artifact->facts.end() && found->is_number()) scores[name] = *found;
    }
  };
  take(jobs::StageKind::kModel, {"loss"});
  take(jobs::StageKind::kEval, {"brier_lm", "brier_low", "brier_high", "heldout_loss"});
  return scores;
}

// Of all that the job uses; what jobs share counts for each of them.
uint64_t BytesOf(const storage::HomeLayout& home, const JobStatus& job) {
  DiskUsage usage;
  uint64_t bytes = usage.Add(home.Job(job.job_id));
  for (const StageStatus& stage : job.stages) {
    if (stage.fingerprint.empty()) continue;
    const std::string kind(jobs::StageName(stage.kind));
    bytes += usage.Add(home.Artifact(kind, stage.fingerprint));
    bytes += usage.Add(home.Work(kind, stage.fingerprint));
  }
  return bytes;
}

std::string Score(const nlohmann::json& scores, const char* name, int digits) {
  const auto found = scores.find(name);
  return found == scores.end() ? "-" : fmt::format("{:.{}f}", found->get<double>(), digits);
}

void PrintTable(const storage::HomeLayout& home, const std::vector<JobStatus>& jobs) {
  const int64_t now_ms = Clock::Real()->WallMs();
  PrintText(
      fmt::format(kRow, "JOB", "STATE", "AT", "BRIERLM", "HELD-OUT", "TIME", "SIZE", "CHANGED"));
  for (const JobStatus& job : jobs) {
    const nlohmann::json scores = ScoresOf(home, job);
    PrintText(fmt::format(kRow, job.job_id, jobs::NameOf(job.state), StageWord(job),
                          Score(scores, "brier_lm", 3), Score(scores, "heldout_loss", 4),
                          FormatDuration(job.TotalMs()), FormatBytes(BytesOf(home, job)),
                          FormatDuration(now_ms - job.updated_ms) + " ago"));
  }
}

// Who has the jobs that no status file tells of.
void PrintPlaces(const std::vector<JobStatus>& jobs, const std::vector<Whereabouts>& places) {
  for (size_t i = 0; i < jobs.size(); ++i) {
    const bool is_told = places[i].is_outstanding || !places[i].slurm_error.empty();
    if (is_told && !places[i].text.empty()) {
      PrintText(fmt::format("{} {}\n", jobs[i].job_id, places[i].text));
    }
  }
}

absl::Status ListJobs(bool as_json, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  std::vector<std::string> unreadable;
  ASSIGN_OR_RETURN(std::vector<JobStatus> jobs, AllJobs(home, &unreadable));
  WhereaboutsReader reader(*Env::Posix(), home);
  std::vector<Whereabouts> places;
  for (JobStatus& job : jobs) {
    places.push_back(reader.Of(job));
    ShowPlace(places.back(), &job);
  }
  if (as_json) {
    nlohmann::json list = nlohmann::json::array();
    for (size_t i = 0; i < jobs.size(); ++i) {
      const JobStatus& job = jobs[i];
      nlohmann::json json = ToJson(job);
      json["submission"] = ToJson(places[i]);
      json["scores"] = ScoresOf(home, job);
      json["seconds"] = static_cast<double>(job.TotalMs()) / 1000;
      json["bytes"] = BytesOf(home, job);
      list.push_back(std::move(json));
    }
    PrintJson({{"home", home.root}, {"jobs", list}, {"unreadable", unreadable}});
    return absl::OkStatus();
  }
  if (jobs.empty() && unreadable.empty()) PrintText("no job in " + home.root + "\n");
  if (!jobs.empty()) PrintTable(home, jobs);
  PrintPlaces(jobs, places);
  for (const std::string& line : unreadable) PrintText("unreadable: " + line + "\n");
  return absl::OkStatus();
}

}  // namespace

void AddList(CLI::App& app, CommandLine* line) {
  const auto as_json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand(
      "list", "List the jobs, the last changed first, with scores, wall time and size on disk");
  command->add_flag("--json", *as_json, "Print as JSON");
  command->callback([=] { line->chosen = [=] { return ListJobs(*as_json, line->home); }; });
}

}  // namespace halcyon::coordinator
