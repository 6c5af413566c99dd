#include "coordinator/checks/job_checks.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "cluster/process.h"
#include "coordinator/checks/early_checks.h"
#include "coordinator/stages/stage_plan.h"
#include "coordinator/work/work_folders.h"
#include "pipeline/sources/shard_plan.h"
#include "storage/artifact.h"
#include "storage/page_cache.h"
#include "storage/token_cache.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kDevicesMsMax = 120'000;
constexpr char kErrorStart[] = "error: ";

// What pages add to the latents in them is less than one part in so many.
constexpr uint64_t kPagesShare = 25;

// Whether work/ has an unfinished folder of such a stage, of whatever job. Not when it cannot be
// listed.
bool HasUnfinished(const absl::StatusOr<std::vector<WorkFolder>>& work, jobs::StageKind kind) {
  return work.ok() && std::ranges::any_of(*work, [kind](const WorkFolder& folder) {
           return folder.kind == kind && !folder.finished;
         });
}

// kResourceExhausted when the state folder's disk has less than `bytes` for `purpose`.
absl::Status CheckDisk(const JobContext& context, uint64_t bytes, const std::string& purpose) {
  const std::string& root = context.home.root;
  ASSIGN_OR_RETURN(const DiskRoom room, context.free_room(root));
  return CheckRoom(room, {bytes, 0}, root, purpose);
}

}  // namespace

absl::Status CheckMachine(const JobContext& context, ArtifactStore& store) {
  const jobs::JobSpec& spec = context.spec;
  ASSIGN_OR_RETURN(const int64_t vocab_size, VocabularyOf(spec));
  ASSIGN_OR_RETURN(const std::vector<PlannedStage> plan,
                   PlanStages(spec, context.home, store,
                              context.remake_damaged ? DamagedIs::kToBeMade : DamagedIs::kError));
  // A vocabulary that is still to be learned may come out smaller than asked for.
  const bool is_exact = !spec.tokenizer.path.empty();
  const auto work = ScanWork(*context.env, context.home);
  std::vector<jobs::TrainingEstimate> made;
  uint64_t disk_bytes = 0;
  for (const jobs::TrainingEstimate& estimate :
       jobs::EstimateTraining(spec, is_exact ? vocab_size : jobs::VocabularyMin(spec))) {
    const auto planned = std::find_if(plan.begin(), plan.end(), [&](const PlannedStage& stage) {
      return stage.kind == estimate.kind;
    });
    if (planned->reused || !Makes(context, estimate.kind)) continue;
    made.push_back(estimate);
    // Unfinished work takes part of this space already.
    if (!HasUnfinished(work, estimate.kind)) disk_bytes += estimate.disk_bytes;
  }
  if (context.memory_limit) RETURN_IF_ERROR(CheckMemory(spec, made, *context.memory_limit));
  return CheckDisk(context, disk_bytes, "writing the checkpoints and weights");
}

absl::Status CheckGpus(const JobContext& context) {
  if (context.spec.launch.device != jobs::DeviceChoice::kCuda) return absl::OkStatus();
  cluster::ProcessOptions process;
  process.argv = {context.worker_program, "devices", "--ranks",
                  std::to_string(context.spec.launch.ranks)};
  process.output_path = JoinPath(context.home.Job(context.job.value()), "devices");
  process.working_dir = "/";
  ASSIGN_OR_RETURN(const auto child, cluster::ChildProcess::Spawn(process));
  if (!context.clock->WaitFor([&] { return child->Poll().has_value(); }, kDevicesMsMax)) {
    return InvalidArgument(
        "launch.device = \"cuda\": the GPUs of this machine did not answer within " +
        std::to_string(kDevicesMsMax / 1000) + " s; look at nvidia-smi");
  }
  ASSIGN_OR_RETURN(std::string output, context.env->ReadFile(process.output_path));
  RETURN_IF_ERROR(context.env->RemoveTree(process.output_path));
  if (child->Poll()->ok()) return absl::OkStatus();
  while (output.ends_with('\n')) output.pop_back();
  // The last line is the error; warnings of libraries may stand before it.
  const std::string line = output.substr(output.rfind('\n') + 1);
  return InvalidArgument(
      "launch.device = \"cuda\": " +
      (line.starts_with(kErrorStart) ? line.substr(sizeof(kErrorStart) - 1) : line) +
      "; use launch.device = \"auto\" to go on without GPUs");
}

absl::Status CheckTokens(const JobContext& context, const std::string& generation_dir,
                         bool needs_latents, Notes* notes) {
  const jobs::JobSpec& spec = context.spec;
  ASSIGN_OR_RETURN(const storage::Artifact artifact,
                   storage::ReadArtifact(*context.env, DirName(generation_dir)));
  ASSIGN_OR_RETURN(auto cache, storage::CacheReader::Open(generation_dir, /*dataset=*/""));
  storage::TokenReader tokens(std::move(cache));
  ASSIGN_OR_RETURN(const jobs::TextCounts counts,
                   CountText(spec, tokens, pipeline::HeldoutShards(artifact.facts)));
  RETURN_IF_ERROR(jobs::CheckText(spec, counts));
  RETURN_IF_ERROR(CheckSourceWindows(spec, tokens, artifact.facts));
  if (const std::string why = jobs::WhyNoScore(spec, counts); !why.empty()) {
    notes->push_back("warning: there will be no score: " + why);
  }
  // Unfinished latents in work/ take part of the space already.
  if (!needs_latents ||
      HasUnfinished(ScanWork(*context.env, context.home), jobs::StageKind::kLatents)) {
    return absl::OkStatus();
  }
  const uint64_t latents = jobs::LatentBytes(spec, counts.heldout_chunks + counts.train_chunks);
  // A merge copies so much before it removes what it has read.
  const uint64_t merging = std::min(latents, storage::kMergedFileBytes);
  return CheckDisk(context, latents + latents / kPagesShare + merging,
                   "writing the latents and merging their files");
}

}  // namespace halcyon::coordinator
