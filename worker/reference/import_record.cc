#include "worker/reference/import_record.h"

#include "base/digest.h"
#include "pipeline/tokenizer.h"
#include "storage/artifact.h"

namespace halcyon::worker {
namespace {

constexpr char kTokenizerFile[] = "tokenizer.json";
constexpr char kTokenizerModelFile[] = "tokenizer.model";

// A tokenizer.json is not changed, so that its digest stays what others know it by.
absl::StatusOr<std::string> TokenizerJsonOf(Env& env, const std::string& path,
                                            const std::string& pattern) {
  ASSIGN_OR_RETURN(std::string bytes, env.ReadFile(path));
  if (BaseName(path) == kTokenizerFile && pattern.empty()) return bytes;
  ASSIGN_OR_RETURN(const auto tokenizer, pipeline::Tokenizer::FromBytes(bytes, path, pattern));
  return tokenizer->ToJson();
}

}  // namespace

absl::StatusOr<ImportedTokenizer> ImportTokenizer(Env& env, const std::string& from,
                                                  const TokenizerSource& source,
                                                  const std::string& dir) {
  ImportedTokenizer imported;
  imported.file = source.file;
  for (const char* name : {kTokenizerFile, kTokenizerModelFile}) {
    const std::string path = JoinPath(from, name);
    if (imported.file.empty() && env.Exists(path)) imported.file = path;
  }
  if (imported.file.empty()) {
    imported.left_out = from + " has no tokenizer.json and no tokenizer.model; name the file";
    return imported;
  }
  const auto bytes = TokenizerJsonOf(env, imported.file, source.pattern);
  if (!bytes.ok() && source.file.empty()) {
    imported.left_out = MessageOf(bytes.status()) + "; name another file";
    imported.file.clear();
    return imported;
  }
  RETURN_IF_ERROR(bytes.status());
  RETURN_IF_ERROR(WriteFileAtomically(env, JoinPath(dir, kTokenizerFile), *bytes));
  imported.made_from["tokenizer"] = Sha256::Of(*bytes);
  return imported;
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
