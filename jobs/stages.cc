#include "jobs/stages.h"

#include <algorithm>
#include <set>
#include <string>

#include "base/check.h"

namespace halcyon::jobs {
namespace {

struct Stage {
  StageKind kind;
  std::string_view name;
  StageShape shape;
  bool reads_sources;
  std::vector<StageKind> inputs;
};

const std::vector<Stage>& Stages() {
  static const auto* stages = new std::vector<Stage>{
      {.kind = StageKind::kTokenizer,
       .name = "tokenizer",
       .shape = StageShape::kSingleTask,
       .reads_sources = true,
       .inputs = {}},
      {.kind = StageKind::kTokens,
       .name = "tokens",
       .shape = StageShape::kShardTasks,
       .reads_sources = true,
       .inputs = {StageKind::kTokenizer}},
      {.kind = StageKind::kAutoencoder,
       .name = "autoencoder",
       .shape = StageShape::kGang,
       .reads_sources = false,
       .inputs = {StageKind::kTokens}},
      {.kind = StageKind::kLatents,
       .name = "latents",
       .shape = StageShape::kShardTasks,
       .reads_sources = false,
       .inputs = {StageKind::kTokens, StageKind::kAutoencoder}},
      {.kind = StageKind::kModel,
       .name = "model",
       .shape = StageShape::kGang,
       .reads_sources = false,
       .inputs = {StageKind::kTokens, StageKind::kLatents}},
      {.kind = StageKind::kEval,
       .name = "eval",
       .shape = StageShape::kSingleTask,
       .reads_sources = false,
       .inputs = {StageKind::kTokens, StageKind::kAutoencoder, StageKind::kLatents,
                  StageKind::kModel}},
  };
  return *stages;
}

const Stage& StageOf(StageKind kind) {
  for (const Stage& stage : Stages()) {
    if (stage.kind == kind) return stage;
  }
  HALCYON_CHECK(false && "every StageKind is in the table");
}

}  // namespace

std::string_view StageName(StageKind kind) { return StageOf(kind).name; }

absl::StatusOr<StageKind> StageFromName(std::string_view name) {
  std::string names;
  for (const Stage& stage : Stages()) {
    if (stage.name == name) return stage.kind;
    names += names.empty() ? "" : ", ";
    names += stage.name;
  }
  return InvalidArgument("unknown stage \"" + std::string(name) + "\"; it is one of " + names);
}

bool RecomputesLatents(const JobSpec& spec) {
  return spec.data.latents == LatentsRule::kRecompute && spec.model.head != HeadKind::kSoftmax;
}

std::vector<StageKind> StagesOf(const JobSpec& spec) {
  std::vector<StageKind> stages(kAllStages.begin(), kAllStages.end());
  if (spec.model.head == HeadKind::kSoftmax) {
    std::erase(stages, StageKind::kAutoencoder);
    std::erase(stages, StageKind::kLatents);
  }
  if (RecomputesLatents(spec)) std::erase(stages, StageKind::kLatents);
  return stages;
}

std::vector<StageKind> InputsOf(StageKind kind, const JobSpec& spec) {
  const std::vector<StageKind> stages = StagesOf(spec);
  std::vector<StageKind> inputs = StageOf(kind).inputs;
  // The ranks encode what they read; in place of the latents, from which it follows otherwise.
  if (kind == StageKind::kModel && RecomputesLatents(spec)) {
    std::ranges::replace(inputs, StageKind::kLatents, StageKind::kAutoencoder);
  }
  std::erase_if(inputs, [&](StageKind input) {
    return std::find(stages.begin(), stages.end(), input) == stages.end();
  });
  return inputs;
}

absl::StatusOr<std::vector<StageKind>> StagesUntil(const JobSpec& spec, std::string_view until) {
  const std::vector<StageKind> all = StagesOf(spec);
  if (until.empty()) return all;
  std::set<StageKind> made;
  std::string names;
  // From the last one, so that each comes after all that are made from it.
  for (auto kind = all.rbegin(); kind != all.rend(); ++kind) {
    if (StageName(*kind) == until) made.insert(*kind);
    if (!made.contains(*kind)) continue;
    for (const StageKind input : InputsOf(*kind, spec)) made.insert(input);
  }
  for (const StageKind kind : all)
    names += (names.empty() ? "" : ", ") + std::string(StageName(kind));
  if (made.empty()) {
    const bool are_recomputed = RecomputesLatents(spec) && until == StageName(StageKind::kLatents);
    return InvalidArgument(
        "the job has no stage \"" + std::string(until) + "\"; its stages are " + names +
        (are_recomputed ? "; its model's ranks encode what they read (data.latents)" : ""));
  }
  return std::vector<StageKind>(made.begin(), made.end());
}

StageShape ShapeOf(StageKind kind) { return StageOf(kind).shape; }

bool ReadsSources(StageKind kind) { return StageOf(kind).reads_sources; }

}  // namespace halcyon::jobs
