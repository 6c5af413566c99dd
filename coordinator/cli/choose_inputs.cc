#include "coordinator/cli/choose_inputs.h"

#include "base/terminal_text.h"
#include "coordinator/cli/commands.h"
#include "coordinator/run_job.h"

namespace halcyon::coordinator {
namespace {

std::string WithoutSlash(const std::string& given) {
  std::string path = AbsolutePath(given);
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

absl::Status FillFromJob(const JobStatus& job, const storage::HomeLayout& home,
                         const std::vector<std::string>& stages, ModelInputs* inputs) {
  for (const std::string& stage : stages) {
    if (inputs->contains(stage)) continue;
    ASSIGN_OR_RETURN(const jobs::StageKind kind, jobs::StageFromName(stage));
    const StageStatus* status = job.Find(kind);
    if (status == nullptr) continue;  // a softmax baseline has no autoencoder and no latents
    const std::string dir = home.Artifact(stage, status->fingerprint);
    if (status->fingerprint.empty() || !Env::Posix()->Exists(dir)) {
      return FailedPrecondition("job " + job.job_id + " has no " + stage +
                                " yet; run it to its end first");
    }
    ASSIGN_OR_RETURN((*inputs)[stage], ReadModelInput(*Env::Posix(), stage, dir),
                     "job " + job.job_id);
  }
  return absl::OkStatus();
}

// "model/0123456789abcdef" for what lies in the state folder, the path for others.
std::string NameOf(const std::string& dir, const storage::HomeLayout& home) {
  const std::string artifacts = DirName(home.ArtifactsOf("any")) + "/";
  return dir.starts_with(artifacts) ? dir.substr(artifacts.size()) : dir;
}

}  // namespace

absl::StatusOr<ModelInputs> ChooseInputs(const std::vector<std::string>& stages,
                                         const std::map<std::string, std::string>& given,
                                         const std::string& job, const std::string& home_flag) {
  Env& env = *Env::Posix();
  ModelInputs inputs;
  for (const auto& [stage, dir] : given) {
    if (stage == "tokenizer") continue;  // which one depends on the others
    ASSIGN_OR_RETURN(inputs[stage], ReadModelInput(env, stage, WithoutSlash(dir)));
  }
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  std::string line = "using ";
  if (!job.empty() || given.empty()) {
    ASSIGN_OR_RETURN(const JobStatus found, FindJob(home, job, /*done_only=*/job.empty()));
    RETURN_IF_ERROR(FillFromJob(found, home, stages, &inputs));
    line += "job " + found.job_id + ": ";
  }
  ASSIGN_OR_RETURN(const storage::ArtifactScan scan, storage::ScanArtifacts(env, home));
  if (const auto tokenizer = given.find("tokenizer"); tokenizer != given.end()) {
    inputs.erase("tokenizer");
    ASSIGN_OR_RETURN(inputs["tokenizer"],
                     ReadTokenizerInput(env, scan, WithoutSlash(tokenizer->second), inputs));
  }
  RETURN_IF_ERROR(CompleteInputs(env, scan, stages, &inputs));
  RETURN_IF_ERROR(CheckBelongTogether(scan, inputs));
  bool is_first = true;
  for (const std::string& stage : stages) {
    const auto input = inputs.find(stage);
    if (input == inputs.end()) continue;
    const std::string name = NameOf(input->second.dir, home);
    line += (is_first ? "" : ", ") + (name == input->second.dir ? stage + " " + name : name);
    is_first = false;
  }
  PrintToStandardError(line + "\n");
  return inputs;
}

}  // namespace halcyon::coordinator
