#include "coordinator/job_status.h"

#include <algorithm>

#include "base/check.h"
#include "base/digest.h"
#include "base/exit_code.h"

namespace halcyon::coordinator {
namespace {

constexpr size_t kIdDigits = 8;

nlohmann::json StageToJson(const StageStatus& stage) {
  return {{"stage", jobs::StageName(stage.kind)},
          {"label", stage.label},
          {"inputs", stage.inputs},
          {"state", jobs::NameOf(stage.state)},
          {"fingerprint", stage.fingerprint},
          {"fraction", stage.fraction},
          {"tasks", stage.tasks},
          {"tasks_done", stage.tasks_done},
          {"step", stage.step},
          {"steps", stage.steps},
          {"figures", stage.figures},
          {"note", stage.note},
          {"started_ms", stage.started_ms},
          {"ended_ms", stage.ended_ms},
          {"start_fraction", stage.start_fraction},
          {"pace", stage.pace},
          {"restarts", stage.restarts},
          {"restart_why", stage.restart_why},
          {"restarted_ms", stage.restarted_ms}};
}

absl::StatusOr<StageStatus> StageFromJson(const nlohmann::json& json) {
  StageStatus stage;
  ASSIGN_OR_RETURN(stage.kind, jobs::StageFromName(json.at("stage").get<std::string>()));
  ASSIGN_OR_RETURN(stage.state, jobs::StageStateFromName(json.at("state").get<std::string>()));
  json.at("fingerprint").get_to(stage.fingerprint);
  json.at("fraction").get_to(stage.fraction);
  json.at("tasks").get_to(stage.tasks);
  json.at("tasks_done").get_to(stage.tasks_done);
  json.at("step").get_to(stage.step);
  json.at("steps").get_to(stage.steps);
  stage.figures = json.at("figures");
  json.at("note").get_to(stage.note);
  json.at("started_ms").get_to(stage.started_ms);
  json.at("ended_ms").get_to(stage.ended_ms);
  json.at("start_fraction").get_to(stage.start_fraction);
  // Older versions did not write these.
  stage.pace = json.value("pace", 0.0);
  stage.restarts = json.value("restarts", int64_t{0});
  stage.restart_why = json.value("restart_why", std::string());
  stage.restarted_ms = json.value("restarted_ms", int64_t{0});
  stage.label = json.value("label", std::string(jobs::StageName(stage.kind)));
  stage.inputs = json.value("inputs", std::vector<std::string>());
  return stage;
}

nlohmann::json WorkerToJson(const WorkerStatus& worker) {
  return {{"worker", worker.worker},
          {"rank", worker.rank},
          {"host", worker.host},
          {"pid", worker.pid},
          {"start_time", worker.start_time},
          {"step", worker.step},
          {"phase", worker.phase},
          {"waits_for", worker.waits_for},
          {"since_ms", worker.since_ms},
          {"verdict", worker.verdict}};
}

WorkerStatus WorkerFromJson(const nlohmann::json& json) {
  WorkerStatus worker;
  json.at("worker").get_to(worker.worker);
  json.at("rank").get_to(worker.rank);
  json.at("host").get_to(worker.host);
  worker.pid = json.value("pid", int64_t{0});
  worker.start_time = json.value("start_time", uint64_t{0});
  json.at("step").get_to(worker.step);
  json.at("phase").get_to(worker.phase);
  json.at("waits_for").get_to(worker.waits_for);
  json.at("since_ms").get_to(worker.since_ms);
  json.at("verdict").get_to(worker.verdict);
  return worker;
}

// A running stage of a job that does not run is interrupted.
void InterruptStages(JobStatus* status) {
  for (StageStatus& stage : status->stages) {
    if (stage.state == jobs::StageState::kRunning) stage.state = jobs::StageState::kInterrupted;
  }
}

absl::StatusOr<JobStatus> FromParsed(const nlohmann::json& json) {
  JobStatus status;
  json.at("job_id").get_to(status.job_id);
  json.at("name").get_to(status.name);
  ASSIGN_OR_RETURN(status.state, jobs::JobStateFromName(json.at("state").get<std::string>()));
  json.at("started_ms").get_to(status.started_ms);
  json.at("updated_ms").get_to(status.updated_ms);
  json.at("pid").get_to(status.pid);
  status.earlier_ms = json.value("earlier_ms", int64_t{0});
  status.exit_code = json.value("exit_code", 0);
  json.at("error").get_to(status.error);
  status.until = json.value("until", std::string());
  for (const nlohmann::json& stage : json.at("stages")) {
    ASSIGN_OR_RETURN(StageStatus parsed, StageFromJson(stage));
    status.stages.push_back(std::move(parsed));
  }
  for (const nlohmann::json& worker : json.value("workers", nlohmann::json::array())) {
    status.workers.push_back(WorkerFromJson(worker));
  }
  if (status.state != jobs::JobState::kRunning) InterruptStages(&status);
  return status;
}

}  // namespace

StageStatus& JobStatus::Stage(jobs::StageKind kind) {
  const auto it = std::find_if(stages.begin(), stages.end(),
                               [kind](const StageStatus& stage) { return stage.kind == kind; });
  HALCYON_CHECK(it != stages.end());
  return *it;
}

const StageStatus* JobStatus::Find(jobs::StageKind kind) const {
  const auto it = std::find_if(stages.begin(), stages.end(),
                               [kind](const StageStatus& stage) { return stage.kind == kind; });
  return it == stages.end() ? nullptr : &*it;
}

std::string JobStatus::MadeUntil() const {
  std::vector<std::string> left;
  for (const StageStatus& stage : stages) {
    if (stage.state == jobs::StageState::kWaiting) left.push_back(stage.label);
  }
  std::string names;
  for (size_t i = 0; i < left.size(); ++i) {
    names += (i == 0 ? "" : i + 1 < left.size() ? ", " : " and ") + left[i];
  }
  return "it is made until " + until + "; " + names + (left.size() == 1 ? " is left" : " are left");
}

void MarkInterrupted(JobStatus* status) {
  status->state = jobs::JobState::kInterrupted;
  status->exit_code = static_cast<int>(ExitCode::kPreempted);
  InterruptStages(status);
}

JobStatus NewJobStatus(const std::string& job_id, const std::string& name,
                       const jobs::StageGraph& graph) {
  JobStatus status;
  status.job_id = job_id;
  status.name = name;
  for (const jobs::StageNode& node : graph.nodes()) {
    StageStatus stage;
    stage.kind = node.kind;
    stage.label = node.label;
    for (const jobs::NodeId input : node.inputs) stage.inputs.push_back(graph.node(input).label);
    status.stages.push_back(std::move(stage));
  }
  return status;
}

nlohmann::json ToJson(const JobStatus& status) {
  nlohmann::json stages = nlohmann::json::array();
  for (const StageStatus& stage : status.stages) stages.push_back(StageToJson(stage));
  nlohmann::json workers = nlohmann::json::array();
  for (const WorkerStatus& worker : status.workers) workers.push_back(WorkerToJson(worker));
  return {{"job_id", status.job_id},
          {"name", status.name},
          {"state", jobs::NameOf(status.state)},
          {"started_ms", status.started_ms},
          {"updated_ms", status.updated_ms},
          {"earlier_ms", status.earlier_ms},
          {"pid", status.pid},
          {"exit_code", status.exit_code},
          {"error", status.error},
          {"until", status.until},
          {"stages", std::move(stages)},
          {"workers", std::move(workers)}};
}

absl::StatusOr<JobStatus> JobStatusFromJson(const std::string& text) {
  try {
    return FromParsed(nlohmann::json::parse(text));
  } catch (const nlohmann::json::exception& error) {
    return DataLoss(std::string("not the status of a job as this version writes it: ") +
                    error.what());
  }
}

std::string StatusPath(const storage::HomeLayout& home, const std::string& job_id) {
  return JoinPath(home.Job(job_id), "status.json");
}

absl::Status WriteJobStatus(Env& env, const storage::HomeLayout& home, const JobStatus& status) {
  // Figures come from other processes: bytes that are not UTF-8 must not end the coordinator.
  const std::string text =
      ToJson(status).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  return WriteFileAtomically(env, StatusPath(home, status.job_id), text + "\n");
}

absl::StatusOr<JobStatus> ReadJobStatus(Env& env, const storage::HomeLayout& home,
                                        const std::string& job_id) {
  const std::string path = StatusPath(home, job_id);
  if (!env.Exists(path)) {
    return NotFound("no job " + job_id + " in " + home.root + "; `halcyon list` shows them");
  }
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  ASSIGN_OR_RETURN(JobStatus status, JobStatusFromJson(text), path);
  return status;
}

absl::StatusOr<std::vector<JobStatus>> ListJobStatuses(Env& env, const storage::HomeLayout& home,
                                                       std::vector<std::string>* unreadable) {
  std::vector<JobStatus> statuses;
  const std::string jobs_dir = DirName(home.Job("any"));
  if (!env.Exists(jobs_dir)) return statuses;
  ASSIGN_OR_RETURN(const std::vector<std::string> ids, env.ListDir(jobs_dir));
  for (const std::string& id : ids) {
    if (!env.Exists(StatusPath(home, id))) continue;
    auto status = ReadJobStatus(env, home, id);
    if (status.ok()) {
      statuses.push_back(*std::move(status));
    } else {
      unreadable->push_back(MessageOf(status.status()));
    }
  }
  std::stable_sort(statuses.begin(), statuses.end(), [](const JobStatus& a, const JobStatus& b) {
    return a.updated_ms > b.updated_ms;
  });
  return statuses;
}

JobId JobIdOf(const std::string& name, const std::string& absolute_spec_path) {
  return JobId(name + "-" + Sha256::Of(name + "\n" + absolute_spec_path).substr(0, kIdDigits));
}

}  // namespace halcyon::coordinator
