#include "storage/job_journal.h"

#include <utility>

#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

constexpr char kSetAsideSuffix[] = ".damaged";

json SnapshotOf(const JobHistory& history) {
  json processes = json::object();
  for (const auto& [name, process] : history.processes) processes[name] = ToJson(process);
  return {{"type", "snapshot"},         {"format", 1},
          {"job", ToJson(history.job)}, {"processes", processes},
          {"gangs", history.gangs},     {"agents", history.agents}};
}

absl::Status TakeSnapshot(const json& record, JobHistory* history) {
  JobHistory taken;
  RETURN_IF_ERROR(CheckLogFormat(record, "a journal", 1));
  ASSIGN_OR_RETURN(const json* job, Member(record, "job"));
  ASSIGN_OR_RETURN(taken.job, JobRecordFromJson(*job));
  ASSIGN_OR_RETURN(const json* processes, Member(record, "processes"));
  for (const auto& [name, process] : processes->items()) {
    ASSIGN_OR_RETURN(taken.processes[name], ProcessFromJson(process));
  }
  ASSIGN_OR_RETURN(const json* gangs, Member(record, "gangs"));
  for (const auto& [stage, gang] : gangs->items()) taken.gangs[stage] = gang;
  if (const auto agents = record.find("agents"); agents != record.end()) {
    for (const auto& [name, agent] : agents->items()) taken.agents[name] = agent;
  }
  *history = std::move(taken);
  return absl::OkStatus();
}

absl::Status TakeRecord(const json& record, JobHistory* history) {
  ASSIGN_OR_RETURN(const std::string type, StringMember(record, "type"));
  if (type == "snapshot") return TakeSnapshot(record, history);
  if (type == "job") {
    ASSIGN_OR_RETURN(const json* job, Member(record, "job"));
    ASSIGN_OR_RETURN(history->job, JobRecordFromJson(*job));
    return absl::OkStatus();
  }
  if (type == "process") {
    ASSIGN_OR_RETURN(const std::string name, StringMember(record, "name"));
    ASSIGN_OR_RETURN(const json* process, Member(record, "process"));
    ASSIGN_OR_RETURN(history->processes[name], ProcessFromJson(*process));
    return absl::OkStatus();
  }
  if (type == "gang") {
    ASSIGN_OR_RETURN(const std::string stage, StringMember(record, "stage"));
    ASSIGN_OR_RETURN(const json* gang, Member(record, "gang"));
    history->gangs[stage] = *gang;
    return absl::OkStatus();
  }
  if (type == "agent") {
    ASSIGN_OR_RETURN(const std::string name, StringMember(record, "name"));
    ASSIGN_OR_RETURN(const json* agent, Member(record, "agent"));
    history->agents[name] = *agent;
    return absl::OkStatus();
  }
  if (type == "forget_processes") {
    history->processes.clear();
    history->gangs.clear();
    history->agents.clear();
    return absl::OkStatus();
  }
  // A newer program may write more; what this one does not know does not concern it.
  return absl::OkStatus();
}

// Reads up to the end, or to the first line that is damaged, which is then the status.
absl::Status ReadRecords(std::string_view text, JobHistory* history) {
  return ReadRecordLines(text, [&](const json& record) { return TakeRecord(record, history); });
}

}  // namespace

absl::StatusOr<JobHistory> ParseJournal(std::string_view text) {
  JobHistory history;
  RETURN_IF_ERROR(ReadRecords(text, &history));
  return history;
}

absl::StatusOr<JobHistory> ReadJobHistory(Env& env, const std::string& dir) {
  ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, RecordLogNumbers(env, dir));
  if (numbers.empty()) return NotFound("no journal in " + dir);
  const std::string path = RecordLogPath(dir, numbers.back());
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  auto history = ParseJournal(text);
  RETURN_IF_ERROR(history.status(), path);
  return history;
}

absl::StatusOr<std::unique_ptr<JobJournal>> JobJournal::Begin(Env& env, const std::string& dir,
                                                              uint64_t incarnation,
                                                              std::vector<std::string>* notes) {
  std::unique_ptr<JobJournal> journal(new JobJournal(env, dir, incarnation));
  ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, RecordLogNumbers(env, dir));
  if (!numbers.empty()) {
    const std::string last = RecordLogPath(dir, numbers.back());
    ASSIGN_OR_RETURN(const std::string text, env.ReadFile(last));
    const absl::Status read = ReadRecords(text, &journal->history_);
    if (absl::IsDataLoss(read)) {
      RETURN_IF_ERROR(env.Rename(last, last + kSetAsideSuffix));
      notes->push_back("the journal was damaged and is now " + last + kSetAsideSuffix + " (" +
                       MessageOf(read) +
                       "): going on from the artifacts and checkpoints on the disk");
    } else {
      RETURN_IF_ERROR(read, last);
    }
  }
  RETURN_IF_ERROR(journal->log_.Begin(SnapshotOf(journal->history_)));
  return journal;
}

absl::Status JobJournal::Append(const json& record) {
  RETURN_IF_ERROR(TakeRecord(record, &history_));
  return log_.is_open() ? log_.Append(record) : log_.Begin(SnapshotOf(history_));
}

absl::Status JobJournal::PutJob(const JobRecord& job) {
  return Append({{"type", "job"}, {"job", ToJson(job)}});
}

absl::Status JobJournal::PutProcess(const std::string& name, const LocatedProcess& process) {
  return Append({{"type", "process"}, {"name", name}, {"process", ToJson(process)}});
}

absl::Status JobJournal::PutGang(const std::string& stage, const json& gang) {
  return Append({{"type", "gang"}, {"stage", stage}, {"gang", gang}});
}

absl::Status JobJournal::PutAgent(const std::string& name, const json& agent) {
  return Append({{"type", "agent"}, {"name", name}, {"agent", agent}});
}

absl::Status JobJournal::ForgetProcesses() { return Append({{"type", "forget_processes"}}); }

}  // namespace halcyon::storage
