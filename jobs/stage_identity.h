// The identity of a stage, which decides whether its result is reused.
//
// A stage is a function of the identities of its inputs. Its fingerprint is a SHA-256 over named
// fields: the settings that change its result, the stage's own version, the source bytes where it
// reads them, and for each input stage the *content digest* of the artifact it is given. Ranks,
// threads, launcher, logging, evaluation and checkpoint cadence are no fields.
#ifndef HALCYON_JOBS_STAGE_IDENTITY_H_
#define HALCYON_JOBS_STAGE_IDENTITY_H_

#include <map>
#include <string>
#include <vector>

#include "jobs/job_spec.h"
#include "jobs/stages.h"

namespace halcyon::jobs {

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

#endif  // HALCYON_JOBS_STAGE_IDENTITY_H_
