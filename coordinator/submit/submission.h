// jobs/JOB/submission.json: how a job was last given to be run, so that it can be given again the
// same way, asked after and taken back. Values, but for reading and writing.
#ifndef HALCYON_COORDINATOR_SUBMIT_SUBMISSION_H_
#define HALCYON_COORDINATOR_SUBMIT_SUBMISSION_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "storage/home.h"

namespace halcyon::coordinator {

enum class Launcher {
  kForeground,  // `halcyon run`
  kBackground,  // `halcyon run -d`
  kLocal,       // the queue of `halcyon coordinator`
  kSlurm,
};
std::string_view NameOf(Launcher launcher);
absl::StatusOr<Launcher> LauncherFromName(std::string_view name);

struct Submission {
  std::string id;  // of this submission; a later one of the job has another
  Launcher launcher = Launcher::kForeground;
  std::string job_id, name;
  std::string spec_path;         // absolute
  std::vector<std::string> set;  // the words of --set
  std::string until = {};        // the last stage to make; "": all
  int64_t submitted_ms = 0;      // wall time
  std::string host = {};         // where it was submitted
  // kBackground: the process on `host`.
  int64_t pid = 0;
  uint64_t start_time = 0;
  std::string boot_id = {};
  std::string slurm_job_id = {};  // kSlurm: the last one
  // kSlurm: how often it went on in another allocation, and how often since the job last came
  // further.
  int64_t requeues = 0, requeues_without_progress = 0;
  double progress = 0;  // when it was last requeued (ProgressOf)

  bool operator==(const Submission&) const = default;
};

// "HOST-TIME-PID": no other submission over any home has it.
std::string NewSubmissionId(int64_t wall_ms);
std::string HostName();

std::string SubmissionPath(const storage::HomeLayout& home, const std::string& job_id);
nlohmann::json ToJson(const Submission& submission);
absl::Status WriteSubmission(Env& env, const storage::HomeLayout& home,
                             const Submission& submission);
// nullopt: the job was never submitted, or the file cannot be read as a submission.
std::optional<Submission> ReadSubmission(Env& env, const storage::HomeLayout& home,
                                         const std::string& job_id);
// kDataLoss: not a submission as this version writes it.
absl::StatusOr<Submission> SubmissionFromJson(const std::string& text);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_SUBMIT_SUBMISSION_H_
