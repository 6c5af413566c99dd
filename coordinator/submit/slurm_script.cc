#include "coordinator/submit/slurm_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "base/env.h"
#include "base/exit_code.h"
#include "coordinator/submit/shell.h"

namespace halcyon::coordinator {
namespace {

// A coordinator that was killed is started again in the same allocation, so often in a row.
constexpr int kRestartsMax = 5;

constexpr char kHead[] = R"(#!/bin/bash
# Job {job} of {home}, written by `halcyon submit`.
)";

constexpr char kSignals[] = R"(
stop=
run=
signalled=0
forward() {
  stop=$1
  signalled=1
  if [ -n "$run" ]; then kill -s "$1" "$run" 2>/dev/null; fi
}
trap 'forward USR1' USR1
trap 'forward TERM' TERM
)";

constexpr char kRun[] = R"(
restarts=0
while :; do
  run_job &
  run=$!
  if [ -n "$stop" ]; then kill -s "$stop" "$run" 2>/dev/null; fi
  while :; do
    signalled=0
    wait "$run"
    code=$?
    if [ "$signalled" = 0 ]; then break; fi
  done
  run=
  if [ "$code" -le 128 ] || [ -n "$stop" ] || [ "$restarts" -ge @RESTARTS@ ]; then break; fi
  restarts=$((restarts + 1))
  echo "halcyon was killed (exit code $code): started again, $restarts of @RESTARTS@" >&2
  sleep 1
done
if [ "$code" -gt 128 ] && [ -n "$stop" ]; then code=@PREEMPTED@; fi
)";

// Slurm may be away for a moment; what it says otherwise does not change.
constexpr char kRequeue[] = R"(if [ "$code" = @PREEMPTED@ ]; then
  for pause in 2 5 10 20 0; do
    @REQUEUE@
    if [ $? != @PREEMPTED@ ] || [ "$pause" = 0 ]; then break; fi
    sleep "$pause"
  done
fi
)";

std::string Replaced(std::string text, std::string_view mark, std::string_view value) {
  for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at)) {
    text.replace(at, mark.size(), value);
    at += value.size();
  }
  return text;
}

// A path as the value of --output, where a percent sign begins a pattern.
std::string WithoutPatterns(const std::string& path) { return Replaced(path, "%", "%%"); }

class Directives {
 public:
  void Flag(std::string_view name) { text_ += fmt::format("#SBATCH --{}\n", name); }
  void Add(std::string_view name, int64_t value) {
    text_ += fmt::format("#SBATCH --{}={}\n", name, value);
  }
  // "": the option is left out.
  void Add(const std::string& name, const std::string& value) {
    if (value.empty()) return;
    const auto quoted = SbatchQuoted(value, "--" + name + ": " + value);
    if (quoted.ok()) {
      text_ += fmt::format("#SBATCH --{}={}\n", name, *quoted);
    } else if (status_.ok()) {
      status_ = quoted.status();
    }
  }
  absl::StatusOr<std::string> Take() {
    RETURN_IF_ERROR(status_);
    return std::move(text_);
  }

 private:
  std::string text_;
  absl::Status status_;
};

// A signal that came at once would leave no time for the job itself.
int64_t SignalSeconds(const jobs::SlurmSpec& slurm) {
  const int64_t limit_s = SlurmTimeSeconds(slurm.time);
  return limit_s > 0 ? std::min(slurm.signal_s, limit_s / 4) : slurm.signal_s;
}

absl::StatusOr<std::string> DirectivesOf(const SlurmScriptOptions& options) {
  const jobs::SlurmSpec& slurm = options.slurm;
  Directives directives;
  directives.Add("job-name", options.job_id);
  directives.Add("output", WithoutPatterns(options.logs) + "/slurm-%j.log");
  directives.Add("open-mode", std::string("append"));
  directives.Flag(slurm.requeue ? "requeue" : "no-requeue");
  if (const int64_t signal_s = SignalSeconds(slurm); signal_s > 0) {
    directives.Add("signal", fmt::format("B:USR1@{}", signal_s));
  }
  directives.Add("partition", slurm.partition);
  directives.Add("account", slurm.account);
  directives.Add("qos", slurm.qos);
  directives.Add("time", slurm.time);
  directives.Add("nodes", slurm.nodes);
  directives.Add("ntasks-per-node", slurm.ntasks_per_node > 0
                                        ? slurm.ntasks_per_node
                                        : (options.ranks + slurm.nodes - 1) / slurm.nodes);
  directives.Add("cpus-per-task", slurm.cpus_per_task > 0 ? slurm.cpus_per_task : options.threads);
  directives.Add("gres", slurm.gres);
  directives.Add("constraint", slurm.constraint);
  directives.Add("exclude", slurm.exclude);
  directives.Add("container-image", slurm.container_image);
  for (const auto& [name, value] : slurm.options) {
    if (value.empty()) {
      directives.Flag(name);
    } else {
      directives.Add(name, value);
    }
  }
  return directives.Take();
}

std::string EnvironmentOf(const SlurmScriptOptions& options) {
  const jobs::ClusterFile& cluster = options.cluster;
  const std::string or_end = fmt::format(
      " || {{ echo \"error: the cluster's environment cannot be set up; see cluster.toml\" >&2; "
      "exit {}; }}\n",
      static_cast<int>(ExitCode::kBadInput));
  std::string text;
  if (!cluster.init.empty()) text += "\n. " + ShellQuoted(cluster.init) + or_end;
  for (const std::string& module : cluster.modules) {
    text += "module load " + ShellQuoted(module) + or_end;
  }
  for (const auto& [name, value] : cluster.variables) {
    text += "export " + name + "=" + ShellQuoted(value) + "\n";
  }
  return text;
}

}  // namespace

int64_t SlurmTimeSeconds(const std::string& time) {
  int64_t days = 0, a = 0, b = 0, c = 0;
  const size_t dash = time.find('-');
  // Behind days stand hours; a time alone is minutes.
  if (dash != std::string::npos) {
    const int fields = std::sscanf(time.c_str(), "%" SCNd64 "-%" SCNd64 ":%" SCNd64 ":%" SCNd64,
                                   &days, &a, &b, &c);
    return fields >= 2 ? 86400 * days + 3600 * a + 60 * b + c : 0;
  }
  switch (std::sscanf(time.c_str(), "%" SCNd64 ":%" SCNd64 ":%" SCNd64, &a, &b, &c)) {
    case 1:
      return 60 * a;
    case 2:
      return 60 * a + b;
    case 3:
      return 3600 * a + 60 * b + c;
    default:
      return 0;
  }
}

absl::StatusOr<std::string> SlurmScript(const SlurmScriptOptions& options) {
  ASSIGN_OR_RETURN(const std::string directives, DirectivesOf(options));
  const std::vector<std::string> halcyon = {options.program, "--home", options.home};
  std::vector<std::string> run = halcyon;
  run.insert(run.end(),
             {"run", options.spec_path, "--quiet", "--submission", options.submission_id});
  for (const std::string& word : options.set) run.insert(run.end(), {"--set", word});
  if (!options.until.empty()) run.insert(run.end(), {"--until", options.until});
  std::vector<std::string> requeue = halcyon;
  requeue.insert(requeue.end(), {"requeue", options.job_id});

  // The name of a home may hold a newline, which would end the comment.
  std::string script =
      Replaced(Replaced(kHead, "{job}", options.job_id), "{home}", ShellQuoted(options.home));
  if (options.home.find('\n') != std::string::npos) {
    return InvalidArgument("the path of the state folder holds a newline; rename the folder");
  }
  script += directives + kSignals + EnvironmentOf(options);
  script += "\nrun_job() {\n  exec " + ShellCommand(run) + "\n}\n";
  const std::string preempted = std::to_string(static_cast<int>(ExitCode::kPreempted));
  std::string end = kRun;
  if (options.slurm.requeue) end += Replaced(kRequeue, "@REQUEUE@", ShellCommand(requeue));
  end = Replaced(end, "@PREEMPTED@", preempted);
  return script + Replaced(end, "@RESTARTS@", std::to_string(kRestartsMax)) + "exit \"$code\"\n";
}

}  // namespace halcyon::coordinator
