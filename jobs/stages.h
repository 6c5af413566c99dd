// The stages from text to weights as a graph, and the identity that decides whether a result is
// reused.
//
// A stage is a function of the identities of its inputs. Its fingerprint is a SHA-256 over named
// fields: the settings that change its result, the stage's own version, the source bytes where it
// reads them, and for each input stage the *content digest* of the artifact it is given. Ranks,
// threads, launcher, logging, evaluation and checkpoint cadence are no fields.
#ifndef HALCYON_JOBS_STAGES_H_
#define HALCYON_JOBS_STAGES_H_

#include <array>
#include <map>
#include <string>
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

struct FingerprintField {
  std::string name;  // "autoencoder.chunk_size", "source[0].sha256", "input.tokens", "version"
  std::string value;
  bool operator==(const FingerprintField&) const = default;
};

// The field of a tokenizer that was made from a file: the SHA-256 of that.
inline constexpr char kTokenizerFileDigest[] = "tokenizer.file.sha256";

struct StageIdentity {
  StageKind kind{};
  std::vector<FingerprintField> fields;  // in a fixed order
  // SHA-256, 64 hexadecimal digits.
  std::string Fingerprint() const;
};

// `source_digests`: SHA-256 of each of spec.data.Files(), in order.
// `input_digests`: the content digest of each input stage's artifact. REQUIRES: holds all of them.
// `tokenizer_file_digest`: SHA-256 of the file spec.tokenizer.path; an imported tokenizer depends
// on its file's bytes alone. REQUIRES: given for kTokenizer when that path is not empty.
StageIdentity IdentityOf(StageKind kind, const JobSpec& spec,
                         const std::vector<std::string>& source_digests,
                         const std::map<StageKind, std::string>& input_digests,
                         const std::string& tokenizer_file_digest = "");

// data.encoding_precision of the job whose stage has these fields.
Precision EncodingPrecisionOf(const std::vector<FingerprintField>& fields);

struct FieldDifference {
  std::string name, before, after;  // "" where the field is missing
};
std::vector<FieldDifference> Differences(const std::vector<FingerprintField>& before,
                                         const std::vector<FingerprintField>& after);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_STAGES_H_
