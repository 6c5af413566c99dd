#include "coordinator/stages/stage_plan.h"

#include <algorithm>
#include <map>
#include <optional>

#include "coordinator/display/explain.h"
#include "coordinator/work/continuation.h"
#include "pipeline/sources/source_plans.h"
#include "storage/source_digests.h"

namespace halcyon::coordinator {
namespace {

// In place of the digest of an input that does not exist yet.
std::string ToBeMade(const jobs::StageIdentity& identity) {
  return kToBeMade + identity.Fingerprint();
}

std::vector<std::string> NotesOf(const Continuation& found) {
  std::vector<std::string> notes;
  if (!found.donors.empty()) {
    notes.push_back(Describe(found.donors.front()));
  } else if (found.own_step > 0) {
    notes.push_back("goes on from its own step " + std::to_string(found.own_step));
  }
  notes.insert(notes.end(), found.notes.begin(), found.notes.end());
  return notes;
}

}  // namespace

absl::StatusOr<std::vector<PlannedStage>> PlanStages(const jobs::JobSpec& spec,
                                                     const storage::HomeLayout& home,
                                                     ArtifactStore& store, DamagedIs damaged) {
  pipeline::SourcePlans plans(*Env::Posix(), home.Sources());
  ASSIGN_OR_RETURN(const std::vector<std::string> sources, plans.DigestsOf(spec.data));
  std::string tokenizer_file;
  if (!spec.tokenizer.path.empty()) {
    storage::SourceDigests digests(*Env::Posix(), home.Sources());
    ASSIGN_OR_RETURN(tokenizer_file, digests.Of(spec.tokenizer.path));
  }
  ASSIGN_OR_RETURN(const auto earlier, store.List());
  ASSIGN_OR_RETURN(const std::vector<WorkFolder> work, ScanWork(*Env::Posix(), home));
  std::map<jobs::StageKind, std::string> digests;
  std::vector<PlannedStage> plan;
  for (const jobs::StageKind kind : jobs::StagesOf(spec)) {
    PlannedStage planned;
    planned.kind = kind;
    std::map<jobs::StageKind, std::string> inputs;
    bool inputs_known = true;
    for (const jobs::StageKind input : jobs::InputsOf(kind, spec)) {
      inputs[input] = digests.at(input);
      inputs_known = inputs_known && !inputs[input].starts_with(kToBeMade);
    }
    const jobs::StageIdentity identity = planned.identity =
        jobs::IdentityOf(kind, spec, sources, inputs, tokenizer_file);
    std::optional<Artifact> found;
    if (inputs_known) {
      planned.fingerprint = identity.Fingerprint();
      auto artifact = store.Find(kind, planned.fingerprint);
      const bool is_passed_over =
          damaged == DamagedIs::kToBeMade && absl::IsDataLoss(artifact.status());
      if (!is_passed_over) {
        ASSIGN_OR_RETURN(found, std::move(artifact));
      }
    }
    planned.reused = found.has_value();
    digests[kind] = found ? found->record.content_digest : ToBeMade(identity);
    if (!planned.reused) {
      planned.why = WhyMade(identity, earlier);
      if (const storage::ArtifactRecord* nearest = NearestArtifact(identity, earlier)) {
        planned.differences = jobs::Differences(nearest->fields, identity.fields);
      }
      if (inputs_known) planned.notes = NotesOf(FindContinuation(identity, work));
    }
    plan.push_back(std::move(planned));
  }
  return plan;
}

std::vector<StageDifference> CompareStages(const std::vector<PlannedStage>& first,
                                           const std::vector<PlannedStage>& second) {
  const auto find = [](const std::vector<PlannedStage>& stages, jobs::StageKind kind) {
    const auto found = std::find_if(stages.begin(), stages.end(),
                                    [&](const PlannedStage& stage) { return stage.kind == kind; });
    return found == stages.end() ? nullptr : &*found;
  };
  std::vector<StageDifference> differences;
  for (const jobs::StageKind kind : jobs::kAllStages) {
    const PlannedStage* const one = find(first, kind);
    const PlannedStage* const other = find(second, kind);
    if (one == nullptr && other == nullptr) continue;
    StageDifference difference{.kind = kind};
    if (one != nullptr && other != nullptr) {
      difference.fields = jobs::Differences(one->identity.fields, other->identity.fields);
    } else {
      difference.only_in = one != nullptr ? 1 : 2;
    }
    differences.push_back(std::move(difference));
  }
  return differences;
}

}  // namespace halcyon::coordinator
