#include "coordinator/submit/detached_run.h"

#include "cluster/command.h"
#include "coordinator/submit/submit_job.h"

namespace halcyon::coordinator {
namespace {

std::string RunLog(const storage::HomeLayout& home, const std::string& job_id) {
  return JoinPath(home.JobLogs(job_id), "run.log");
}

}  // namespace

absl::StatusOr<cluster::ProcessIdentity> StartDetachedRun(
    const storage::HomeLayout& home, const Submission& submission,
    const std::map<std::string, std::string>& env) {
  ASSIGN_OR_RETURN(const std::string program, OwnProgram());
  cluster::DetachedOptions options;
  options.argv = {program,   "--home",       home.root,    "run", submission.spec_path,
                  "--quiet", "--submission", submission.id};
  for (const std::string& word : submission.set)
    options.argv.insert(options.argv.end(), {"--set", word});
  if (!submission.until.empty()) {
    options.argv.insert(options.argv.end(), {"--until", submission.until});
  }
  options.env = env;
  options.output_path = RunLog(home, submission.job_id);
  options.working_dir = home.Job(submission.job_id);
  ASSIGN_OR_RETURN(const pid_t pid, cluster::StartDetached(options));
  const auto identity = cluster::IdentityOfProcess(pid);
  return identity ? *identity : cluster::ProcessIdentity{pid, 0};
}

std::string LastLineOfDetachedRun(Env& env, const storage::HomeLayout& home,
                                  const std::string& job_id) {
  constexpr std::string_view kPrefix = "error: ";
  auto text = env.ReadFile(RunLog(home, job_id));
  if (!text.ok()) return "";
  while (text->ends_with('\n')) text->pop_back();
  std::string line = text->substr(text->rfind('\n') + 1);
  return line.starts_with(kPrefix) ? line.substr(kPrefix.size()) : line;
}

}  // namespace halcyon::coordinator
