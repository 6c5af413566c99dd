#include "coordinator/submit/slurm.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "cluster/command.h"

namespace halcyon::coordinator {
namespace {

// slurmctld answers in milliseconds, or is away: the commands themselves then wait for long.
constexpr int64_t kAnswerMsMax = 10'000;

constexpr std::array<std::string_view, 8> kLiveStates = {"PENDING",   "CONFIGURING", "RUNNING",
                                                         "SUSPENDED", "STOPPED",     "COMPLETING",
                                                         "REQUEUED",  "REQUEUE_HOLD"};

// 22.05 prints a number; later versions {"set": true, "infinite": false, "number": 5}.
int64_t NumberIn(const nlohmann::json& job, const char* name) {
  const auto found = job.find(name);
  if (found == job.end()) return 0;
  if (found->is_number_integer()) return found->get<int64_t>();
  if (!found->is_object() || !found->value("set", false) || found->value("infinite", false)) {
    return 0;
  }
  const auto number = found->find("number");
  return number != found->end() && number->is_number_integer() ? number->get<int64_t>() : 0;
}

// 22.05 prints a text; later versions a list of the state and its flags.
std::string TextIn(const nlohmann::json& job, const char* name) {
  const auto found = job.find(name);
  if (found == job.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (found->is_array() && !found->empty() && found->front().is_string()) {
    return found->front().get<std::string>();
  }
  return "";
}

SlurmJob JobIn(const nlohmann::json& json) {
  SlurmJob job;
  job.id = std::to_string(NumberIn(json, "job_id"));
  job.state = TextIn(json, "job_state");
  job.reason = TextIn(json, "state_reason");
  job.nodes = TextIn(json, "nodes");
  job.start_ms = 1000 * NumberIn(json, "start_time");
  job.end_ms = 1000 * NumberIn(json, "end_time");
  job.restarts = NumberIn(json, "restart_cnt");
  return job;
}

std::string Trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  // One line, for a message.
  std::replace(text.begin(), text.end(), '\n', ';');
  return text;
}

}  // namespace

bool SlurmJob::IsLive() const {
  return std::find(kLiveStates.begin(), kLiveStates.end(), state) != kLiveStates.end();
}

absl::StatusOr<std::map<std::string, SlurmJob>> ParseSqueue(std::string_view json) {
  const auto parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  const auto jobs = parsed.is_object() ? parsed.find("jobs") : parsed.end();
  if (!parsed.is_object() || jobs == parsed.end() || !jobs->is_array()) {
    return DataLoss("squeue --json did not print a list of jobs; Slurm 22.05 or later is needed");
  }
  // Without slurmctld squeue exits with 0 and prints no jobs; only this list tells.
  if (const auto errors = parsed.find("errors");
      errors != parsed.end() && errors->is_array() && !errors->empty()) {
    const nlohmann::json& first = errors->front();
    const std::string what = first.is_object() ? TextIn(first, "description") : "";
    return Unavailable("squeue: " + (what.empty() ? "an error without description" : what));
  }
  std::map<std::string, SlurmJob> all;
  for (const nlohmann::json& one : *jobs) {
    if (!one.is_object()) continue;
    SlurmJob job = JobIn(one);
    all[job.id] = std::move(job);
  }
  return all;
}

absl::StatusOr<std::string> Slurm::Run(const std::string& program,
                                       const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv = {commands_.empty() ? program : JoinPath(commands_, program)};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto output = cluster::RunCommand(argv, kAnswerMsMax);
  if (absl::IsNotFound(output.status())) {
    return Unavailable("no " + argv[0] +
                       " here: this is no host of a Slurm cluster, or its folder "
                       "is missing in PATH (`commands` of cluster.toml)");
  }
  RETURN_IF_ERROR(output.status());
  if (output->exit.ok()) return output->out;
  return Internal(argv[0] + ": " +
                  (output->error.empty() ? output->exit.ToString() : Trimmed(output->error)));
}

absl::StatusOr<std::string> Slurm::Submit(const std::vector<std::string>& options,
                                          const std::string& script_path) const {
  std::vector<std::string> arguments = {"--parsable"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.push_back(script_path);
  const auto printed = Run("sbatch", arguments);
  if (absl::IsInternal(printed.status())) return InvalidArgument(MessageOf(printed.status()));
  RETURN_IF_ERROR(printed.status());
  // "ID", or "ID;CLUSTER".
  std::string id = printed->substr(0, printed->find_first_of(";\n"));
  if (id.empty() || id.find_first_not_of("0123456789") != std::string::npos) {
    return Internal("sbatch printed \"" + Trimmed(*printed) + "\" in place of a job's id");
  }
  return id;
}

absl::StatusOr<std::map<std::string, SlurmJob>> Slurm::Jobs() const {
  const auto printed = Run("squeue", {"--json"});
  if (!printed.ok()) return Unavailable(MessageOf(printed.status()));
  const auto jobs = ParseSqueue(*printed);
  if (!jobs.ok()) return Unavailable(MessageOf(jobs.status()));
  return jobs;
}

absl::Status Slurm::Cancel(const std::string& id) const { return Run("scancel", {id}).status(); }

absl::Status Slurm::Requeue(const std::string& id) const {
  return Run("scontrol", {"requeue", id}).status();
}

}  // namespace halcyon::coordinator
