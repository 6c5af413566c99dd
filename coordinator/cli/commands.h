// The commands of `halcyon`: one file each. An Add function declares a command and its options;
// when the user gave that command, parsing sets `chosen` to the function that runs it.
#ifndef HALCYON_COORDINATOR_CLI_COMMANDS_H_
#define HALCYON_COORDINATOR_CLI_COMMANDS_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/exit_code.h"
#include "base/status.h"
#include "coordinator/job_status.h"
#include "jobs/job_spec.h"
#include "storage/home.h"

namespace CLI {
class App;
}

namespace halcyon::coordinator {

struct CommandLine {
  std::string home;  // --home
  std::function<absl::Status()> chosen;
  // Of a command that fails in a way of its own; else the exit code is that of its status.
  std::optional<ExitCode> failure = {};
};

void AddInit(CLI::App& app, CommandLine* line);
void AddRun(CLI::App& app, CommandLine* line);
void AddSubmit(CLI::App& app, CommandLine* line);
void AddDrill(CLI::App& app, CommandLine* line);
void AddRequeue(CLI::App& app, CommandLine* line);
void AddHome(CLI::App& app, CommandLine* line);
void AddQueueDaemon(CLI::App& app, CommandLine* line);
void AddWait(CLI::App& app, CommandLine* line);
void AddCancel(CLI::App& app, CommandLine* line);
void AddMember(CLI::App& app, CommandLine* line);
void AddResume(CLI::App& app, CommandLine* line);
void AddValidate(CLI::App& app, CommandLine* line);
void AddList(CLI::App& app, CommandLine* line);
void AddStatus(CLI::App& app, CommandLine* line);
void AddWhy(CLI::App& app, CommandLine* line);
void AddWatch(CLI::App& app, CommandLine* line);
void AddLogs(CLI::App& app, CommandLine* line);
void AddMetrics(CLI::App& app, CommandLine* line);
void AddPlot(CLI::App& app, CommandLine* line);
void AddAudit(CLI::App& app, CommandLine* line);
void AddRm(CLI::App& app, CommandLine* line);
void AddCache(CLI::App& app, CommandLine* line);
void AddCacheExplain(CLI::App* cache, CommandLine* line);        // in `cache`
void AddCacheExport(CLI::App* cache, CommandLine* line);         // in `cache`
void AddCacheGc(CLI::App* cache, CommandLine* line);             // in `cache`
void AddCacheImportTokens(CLI::App* cache, CommandLine* line);   // in `cache`
void AddCacheVerifyLatents(CLI::App* cache, CommandLine* line);  // in `cache`
void AddCheckpoint(CLI::App& app, CommandLine* line);
void AddTokenizer(CLI::App& app, CommandLine* line);
void AddEval(CLI::App& app, CommandLine* line);
void AddGenerate(CLI::App& app, CommandLine* line);
void AddProbe(CLI::App& app, CommandLine* line);
// `import` and `export`, below `checkpoint`.
void AddReferenceCheckpoint(CLI::App& checkpoint, CommandLine* line);

// --- what several commands need ---

// The folder that the flags name; nothing is made.
absl::StatusOr<storage::HomeLayout> LookAtHome(const std::string& home_flag);
// The job of this id, else the one of this name that changed last (it says so on standard error
// when there are several); with "" the one that changed last. With `done_only` the last that is
// done. Its state is the present one: interrupted when its record says running and no process runs
// it.
absl::StatusOr<JobStatus> FindJob(const storage::HomeLayout& home, const std::string& job,
                                  bool done_only);
// Every job, the last changed first; states as above. One that cannot be read is left out and named
// in `unreadable`.
absl::StatusOr<std::vector<JobStatus>> AllJobs(const storage::HomeLayout& home,
                                               std::vector<std::string>* unreadable);

// `--set KEY=VALUE` of a command that reads a job file; the words go to `words`.
void AddSet(CLI::App* command, std::vector<std::string>* words);
// --until STAGE of the commands that run a job.
void AddUntil(CLI::App* command, std::string* until);
// The job file with those values in place of its own.
absl::StatusOr<jobs::JobSpec> LoadJob(const std::string& path,
                                      const std::vector<std::string>& set_words);

std::string Version();  // "0.1.0"

// Executes halcyon-worker in this process with these arguments; returns only when that fails.
absl::Status ExecWorker(std::vector<std::string> words);

// The status whose exit code is that of a job which does not run any more, and whose message says
// how it ended.
absl::Status EndOf(const JobStatus& job);
// Runs a job in the foreground, as `halcyon run` does without options of its own.
absl::Status RunInForeground(const std::string& job_file, const std::vector<std::string>& set_words,
                             const std::string& until, const std::string& home_flag);

// To standard output. What fails is kept, and reported when the command has ended.
void PrintText(std::string_view text);
void PrintJson(const nlohmann::json& json);  // and a newline
std::string FormatBytes(uint64_t bytes);     // "1.2 MB"

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CLI_COMMANDS_H_
