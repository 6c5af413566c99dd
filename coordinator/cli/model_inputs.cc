#include "coordinator/cli/model_inputs.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/digest.h"
#include "storage/cache_manifest.h"
#include "storage/weights/weights_index.h"

namespace halcyon::coordinator {
namespace {

using storage::Artifact;
using storage::ArtifactScan;

constexpr size_t kShortDigest = 16;
constexpr char kTokenizerFile[] = "tokenizer.json";

// One statement of a record: `by` was made from content `digest` of a stage.
struct Requirement {
  std::string digest, by;
};

std::string ShortDigest(const std::string& digest) { return digest.substr(0, kShortDigest); }

absl::StatusOr<std::string> DigestWithoutRecord(Env& env, const std::string& stage,
                                                const std::string& dir) {
  if (stage == "tokens" || stage == "latents") {
    ASSIGN_OR_RETURN(const auto manifest, storage::LoadManifest(storage::GenerationPath(dir)));
    return manifest.content_digest;
  }
  if (stage == "tokenizer") return Sha256OfFile(JoinPath(dir, kTokenizerFile));
  return storage::DigestOfWeights(env, dir);
}

// What the given artifacts were made from, directly or through others of the state folder; by
// stage.
std::map<std::string, std::vector<Requirement>> Requirements(const ArtifactScan& scan,
                                                             const ModelInputs& inputs) {
  std::map<std::string, std::vector<Requirement>> required;
  std::set<std::pair<std::string, std::string>> seen;
  std::vector<std::pair<std::string, const std::map<std::string, std::string>*>> open;
  for (const auto& [stage, input] : inputs) open.push_back({input.dir, &input.made_from});
  std::vector<std::map<std::string, std::string>> kept;
  kept.reserve(scan.artifacts.size() + 1);
  while (!open.empty()) {
    const auto [by, made_from] = open.back();
    open.pop_back();
    for (const auto& [stage, digest] : *made_from) {
      required[stage].push_back({digest, by});
      if (!seen.insert({stage, digest}).second) continue;
      const Artifact* artifact = scan.Find(stage, digest);
      if (artifact == nullptr) continue;
      kept.push_back(storage::InputDigestsOf(artifact->record));
      open.push_back({by, &kept.back()});
    }
  }
  return required;
}

// The layout of an import: networks side by side, the tokenizer in the folder above.
absl::StatusOr<bool> FindBeside(Env& env, const std::string& stage, const std::string& digest,
                                ModelInputs* inputs) {
  for (const auto& [other, input] : ModelInputs(*inputs)) {
    const std::string parent = DirName(input.dir);
    const std::string dir = stage == "tokenizer" ? parent : JoinPath(parent, stage);
    if (!env.Exists(stage == "tokenizer" ? JoinPath(dir, kTokenizerFile) : dir)) continue;
    const auto found = ReadModelInput(env, stage, dir);
    if (!found.ok() || found->content_digest != digest) continue;
    (*inputs)[stage] = *found;
    return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<ModelInput> ReadModelInput(Env& env, const std::string& stage,
                                          const std::string& dir) {
  ModelInput input{dir, "", {}, false};
  const auto artifact = storage::ReadArtifact(env, dir);
  if (absl::IsNotFound(artifact.status())) {
    const auto digest = DigestWithoutRecord(env, stage, dir);
    if (absl::IsNotFound(digest.status())) {
      return InvalidArgument(dir + ": holds no " + stage + ": " + MessageOf(digest.status()));
    }
    RETURN_IF_ERROR(digest.status());
    input.content_digest = *digest;
    return input;
  }
  RETURN_IF_ERROR(artifact.status());
  const storage::ArtifactRecord& record = artifact->record;
  if (jobs::StageName(record.kind) != stage) {
    return InvalidArgument(dir + ": is an artifact of the " +
                           std::string(jobs::StageName(record.kind)) + " stage, expected " + stage);
  }
  input.content_digest = record.content_digest;
  input.made_from = storage::InputDigestsOf(record);
  input.has_record = true;
  return input;
}

absl::StatusOr<ModelInput> ReadTokenizerInput(Env& env, const ArtifactScan& scan,
                                              const std::string& given, const ModelInputs& inputs) {
  const bool is_plain = BaseName(given) == kTokenizerFile;
  std::error_code unknown;
  const bool is_file = std::filesystem::is_regular_file(given, unknown);
  std::vector<ModelInput> found;
  if (!is_file || is_plain) {
    ASSIGN_OR_RETURN(found.emplace_back(),
                     ReadModelInput(env, "tokenizer", is_plain ? DirName(given) : given));
    if (found.front().has_record) return found.front();
  }
  ASSIGN_OR_RETURN(const std::string digest,
                   Sha256OfFile(is_file ? given : JoinPath(given, kTokenizerFile)));
  for (const Artifact& artifact : scan.artifacts) {
    const auto& fields = artifact.record.fields;
    if (std::ranges::find(fields, jobs::FingerprintField{jobs::kTokenizerFileDigest, digest}) ==
        fields.end()) {
      continue;
    }
    ASSIGN_OR_RETURN(found.emplace_back(), ReadModelInput(env, "tokenizer", artifact.record.path));
  }
  if (found.empty()) {
    return InvalidArgument(
        given +
        ": no tokenizer in the state folder was made from this file; leave --tokenizer out to take "
        "the one that the model was made with, or give the folder of a tokenizer's artifact or a "
        "tokenizer.json; of another file `halcyon checkpoint import --tokenizer FILE` makes one");
  }
  const auto required = Requirements(scan, inputs)["tokenizer"];
  const auto needed = std::ranges::find_if(found, [&](const ModelInput& input) {
    return std::ranges::any_of(required, [&](const Requirement& requirement) {
      return requirement.digest == input.content_digest;
    });
  });
  return needed == found.end() ? found.front() : *needed;
}

absl::Status CompleteInputs(Env& env, const ArtifactScan& scan,
                            const std::vector<std::string>& stages, ModelInputs* inputs) {
  // Nearest first: what the latents say of the autoencoder follows from what the model says of
  // them.
  for (const std::string& stage : stages) {
    if (inputs->contains(stage)) continue;
    const auto required = Requirements(scan, *inputs);
    const auto wanted = required.find(stage);
    if (wanted == required.end()) continue;
    const Requirement& first = wanted->second.front();
    if (const Artifact* artifact = scan.Find(stage, first.digest)) {
      ASSIGN_OR_RETURN((*inputs)[stage], ReadModelInput(env, stage, artifact->record.path));
      continue;
    }
    ASSIGN_OR_RETURN(const bool is_beside, FindBeside(env, stage, first.digest, inputs));
    if (is_beside) continue;
    for (const storage::UnreadArtifact& unread : scan.unread) {
      if (unread.content_digest == first.digest) return unread.status;
    }
    return NotFound(first.by + ": was made with the " + stage + " of content digest " +
                    ShortDigest(first.digest) +
                    "..., which the state folder does not have; give its " + "folder with --" +
                    stage);
  }
  return absl::OkStatus();
}

absl::Status CheckBelongTogether(const ArtifactScan& scan, const ModelInputs& inputs) {
  // The model first: its own record of the autoencoder is more precise than what follows from it.
  for (const std::string stage : {"model", "latents", "autoencoder", "tokens"}) {
    if (!inputs.contains(stage)) continue;
    const ModelInput& input = inputs.at(stage);
    for (const auto& [other, requirements] : Requirements(scan, {{stage, input}})) {
      const auto chosen = inputs.find(other);
      if (chosen == inputs.end()) continue;
      // A model may be evaluated on other text than that of its training; only latents are of one
      // text.
      const bool is_text = other == "tokens" || other == "latents";
      if (is_text && (stage != "latents" || !input.made_from.contains(other))) continue;
      for (const Requirement& requirement : requirements) {
        const bool is_same = requirement.digest == chosen->second.content_digest;
        if (is_same || (is_text && requirement.digest != input.made_from.at(other))) continue;
        return InvalidArgument(input.dir + ": was made with another " + other +
                               " (content digest " + ShortDigest(requirement.digest) +
                               "...) than " + chosen->second.dir + " (" +
                               ShortDigest(chosen->second.content_digest) +
                               "...); give the one that belongs to it with --" + other);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace halcyon::coordinator
