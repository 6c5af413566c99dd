#include "storage/job_journal.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "base/digest.h"
#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

constexpr size_t kChecksumDigits = 16;
constexpr size_t kJournalNameDigits = 8;
constexpr size_t kJournalFilesKept = 3;
constexpr char kSetAsideSuffix[] = ".damaged";

std::string JournalPath(const std::string& dir, uint64_t incarnation) {
  char name[32];
  std::snprintf(name, sizeof(name), "%08llu", static_cast<unsigned long long>(incarnation));
  return JoinPath(dir, name);
}

// Names of the files, ascending.
absl::StatusOr<std::vector<std::string>> JournalFiles(Env& env, const std::string& dir) {
  if (!env.Exists(dir)) return std::vector<std::string>();
  ASSIGN_OR_RETURN(std::vector<std::string> names, env.ListDir(dir));
  std::erase_if(names, [](const std::string& name) {
    return name.size() != kJournalNameDigits ||
           !std::all_of(name.begin(), name.end(),
                        [](unsigned char c) { return c >= '0' && c <= '9'; });
  });
  return names;
}

// Paths and error messages need not be UTF-8; what is not is replaced rather than refused.
std::string DumpLine(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string Checksum(std::string_view text) {
  char digits[kChecksumDigits + 1];
  std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(Xxh3(text)));
  return digits;
}

json SnapshotOf(const JobHistory& history) {
  json processes = json::object();
  for (const auto& [name, process] : history.processes) processes[name] = ToJson(process);
  return {{"type", "snapshot"},         {"format", 1},
          {"job", ToJson(history.job)}, {"processes", processes},
          {"gangs", history.gangs},     {"agents", history.agents}};
}

absl::Status TakeSnapshot(const json& record, JobHistory* history) {
  JobHistory taken;
  ASSIGN_OR_RETURN(const uint64_t format, UnsignedMember(record, "format"));
  if (format > 1) {
    return FailedPrecondition("a journal of format " + std::to_string(format) +
                              ", this program reads up to 1; use a newer Halcyon");
  }
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

// A whole record; nullopt when the line is not one that JournalLine made.
std::optional<json> RecordOf(std::string_view line) {
  if (line.size() <= kChecksumDigits || line[kChecksumDigits] != ' ') return std::nullopt;
  const std::string_view text = line.substr(kChecksumDigits + 1);
  if (line.substr(0, kChecksumDigits) != Checksum(text)) return std::nullopt;
  auto parsed = ParseStrictJson(text);
  return parsed.ok() ? std::optional(*std::move(parsed)) : std::nullopt;
}

// Reads up to the end, or to the first line that is damaged, which is then the status.
absl::Status ReadRecords(std::string_view text, JobHistory* history) {
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::optional<json> record = RecordOf(line);
    if (!record && text.empty()) return absl::OkStatus();  // cut short by a crash
    const std::string where = "line " + std::to_string(number);
    if (!record) return DataLoss(where + " is damaged");
    RETURN_IF_ERROR(TakeRecord(*record, history), where);
  }
  return absl::OkStatus();
}

}  // namespace

std::string JournalLine(const json& record) {
  const std::string text = DumpLine(record);
  return Checksum(text) + " " + text + "\n";
}

absl::StatusOr<JobHistory> ParseJournal(std::string_view text) {
  JobHistory history;
  RETURN_IF_ERROR(ReadRecords(text, &history));
  return history;
}

absl::StatusOr<JobHistory> ReadJobHistory(Env& env, const std::string& dir) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, JournalFiles(env, dir));
  if (names.empty()) return NotFound("no journal in " + dir);
  const std::string path = JoinPath(dir, names.back());
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  auto history = ParseJournal(text);
  RETURN_IF_ERROR(history.status(), path);
  return history;
}

absl::StatusOr<std::unique_ptr<JobJournal>> JobJournal::Begin(Env& env, const std::string& dir,
                                                              uint64_t incarnation,
                                                              std::vector<std::string>* notes) {
  RETURN_IF_ERROR(env.CreateDirs(dir));
  std::unique_ptr<JobJournal> journal(new JobJournal(env, dir, JournalPath(dir, incarnation)));
  ASSIGN_OR_RETURN(std::vector<std::string> names, JournalFiles(env, dir));
  if (!names.empty()) {
    const std::string last = JoinPath(dir, names.back());
    ASSIGN_OR_RETURN(const std::string text, env.ReadFile(last));
    const absl::Status read = ReadRecords(text, &journal->history_);
    if (absl::IsDataLoss(read)) {
      RETURN_IF_ERROR(env.Rename(last, last + kSetAsideSuffix));
      names.pop_back();
      notes->push_back("the journal was damaged and is now " + last + kSetAsideSuffix + " (" +
                       MessageOf(read) +
                       "): going on from the artifacts and checkpoints on the disk");
    } else {
      RETURN_IF_ERROR(read, last);
    }
  }
  RETURN_IF_ERROR(journal->WriteSnapshot());
  for (size_t i = 0; i + kJournalFilesKept < names.size(); ++i) {
    env.RemoveFile(JoinPath(dir, names[i])).IgnoreError();
  }
  return journal;
}

absl::Status JobJournal::WriteSnapshot() {
  const std::string draft = path_ + ".tmp";
  ASSIGN_OR_RETURN(auto file, env_.NewWritableFile(draft));
  RETURN_IF_ERROR(file->Append(JournalLine(SnapshotOf(history_))));
  RETURN_IF_ERROR(file->Sync());
  RETURN_IF_ERROR(env_.Rename(draft, path_));
  RETURN_IF_ERROR(env_.SyncDir(dir_));
  file_ = std::move(file);
  return absl::OkStatus();
}

absl::Status JobJournal::Append(const json& record) {
  RETURN_IF_ERROR(TakeRecord(record, &history_));
  if (file_ == nullptr) return WriteSnapshot();
  absl::Status written = file_->Append(JournalLine(record));
  if (written.ok()) written = file_->Sync();
  if (!written.ok()) file_.reset();
  return written;
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
