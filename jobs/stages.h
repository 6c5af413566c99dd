// The stages from text to weights as a graph.
#ifndef HALCYON_JOBS_STAGES_H_
#define HALCYON_JOBS_STAGES_H_

#include <array>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "jobs/job_spec.h"

namespace halcyon::jobs {

enum class StageKind { kTokenizer, kTokens, kAutoencoder, kLatents, kModel, kEval };

// In an order in which each comes after its inputs.
inline constexpr std::array<StageKind, 6> kAllStages = {
    StageKind::kTokenizer, StageKind::kTokens, StageKind::kAutoencoder,
    StageKind::kLatents,   StageKind::kModel,  StageKind::kEval};

// "tokenizer", "tokens", "autoencoder", "latents", "model", "eval".
std::string_view StageName(StageKind kind);
absl::StatusOr<StageKind> StageFromName(std::string_view name);

// Whether the model's ranks encode the text that they read, and no latents are stored.
bool RecomputesLatents(const JobSpec& spec);

// The stages of a job, in that order: all, or with head = softmax those that need no latents, or
// all but the latents when they are recomputed. data.latents = "auto" counts as "store".
std::vector<StageKind> StagesOf(const JobSpec& spec);

// tokens <- tokenizer; autoencoder <- tokens; latents <- tokens, autoencoder;
// model <- tokens, latents (or the autoencoder, when they are recomputed); eval <- tokens,
// autoencoder, latents, model. Only stages of the job.
std::vector<StageKind> InputsOf(StageKind kind, const JobSpec& spec);

// Those of them that a run makes which ends with `until`: that one and what it is made from; all
// when `until` is "". kInvalidArgument: the job has no stage of that name.
absl::StatusOr<std::vector<StageKind>> StagesUntil(const JobSpec& spec, std::string_view until);

// How a stage is run: one leased task, a leased task for each shard, or a gang of ranks.
enum class StageShape { kSingleTask, kShardTasks, kGang };
StageShape ShapeOf(StageKind kind);

// Whether it reads the text itself.
bool ReadsSources(StageKind kind);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_STAGES_H_
