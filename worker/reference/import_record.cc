#include "worker/reference/import_record.h"

#include "base/digest.h"
#include "storage/artifact.h"

namespace halcyon::worker {
namespace {

constexpr char kTokenizerFile[] = "tokenizer.json";

}  // namespace

absl::StatusOr<ImportedFrom> ImportTokenizer(Env& env, const std::string& from,
                                             const std::string& dir) {
  const std::string path = JoinPath(from, kTokenizerFile);
  if (!env.Exists(path)) return ImportedFrom();
  ASSIGN_OR_RETURN(const std::string bytes, env.ReadFile(path));
  RETURN_IF_ERROR(WriteFileAtomically(env, JoinPath(dir, kTokenizerFile), bytes));
  return ImportedFrom{{"tokenizer", Sha256::Of(bytes)}};
}

absl::StatusOr<std::string> WriteImportRecord(Env& env, const std::string& dir,
                                              jobs::StageKind kind, const ImportedFrom& made_from) {
  storage::Artifact artifact;
  storage::ArtifactRecord& record = artifact.record;
  ASSIGN_OR_RETURN(artifact.files, storage::DescribeFiles(env, dir, kind));
  for (const storage::ArtifactFile& file : artifact.files) {
    record.bytes += file.bytes;
  }
  record.content_digest = storage::WeightsDigestOf(artifact.files).value_or("");
  record.kind = kind;
  record.fields = {{"origin", "checkpoint import"}, {"weights.sha256", record.content_digest}};
  for (const auto& [stage, digest] : made_from) {
    record.fields.push_back({"input." + stage, digest});
  }
  record.fingerprint = jobs::StageIdentity{kind, record.fields}.Fingerprint();
  RETURN_IF_ERROR(WriteFileAtomically(env, JoinPath(dir, storage::kArtifactFileName),
                                      storage::ArtifactToText(artifact)));
  return record.content_digest;
}

}  // namespace halcyon::worker
