#include "storage/artifact_scan.h"

#include <algorithm>

namespace halcyon::storage {
namespace {

constexpr std::string_view kUnfinishedSuffix = ".tmp";

bool IsFingerprintName(std::string_view name) {
  return name.size() == kShortFingerprint &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// The content digest that a damaged artifact.json still has: enough to find what was made from it.
std::string DigestHint(Env& env, const std::string& dir) {
  const auto text = env.ReadFile(JoinPath(dir, kArtifactFileName));
  if (!text.ok()) return "";
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return "";
  const auto digest = json.find("content_digest");
  return digest != json.end() && digest->is_string() ? digest->get<std::string>() : "";
}

}  // namespace

ArtifactEntry EntryOf(const std::string& name) {
  if (IsFingerprintName(name)) return ArtifactEntry::kArtifact;
  if (name.ends_with(kUnfinishedSuffix) &&
      IsFingerprintName(std::string_view(name).substr(0, name.size() - kUnfinishedSuffix.size()))) {
    return ArtifactEntry::kUnfinished;
  }
  return ArtifactEntry::kForeign;
}

absl::StatusOr<std::vector<std::string>> ArtifactEntries(Env& env, const HomeLayout& home) {
  std::vector<std::string> paths;
  for (const jobs::StageKind kind : jobs::kAllStages) {
    const std::string parent = home.ArtifactsOf(std::string(jobs::StageName(kind)));
    if (!env.Exists(parent)) continue;
    ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(parent));
    for (const std::string& name : names) paths.push_back(JoinPath(parent, name));
  }
  return paths;
}

const Artifact* ArtifactScan::Find(const std::string& stage,
                                   const std::string& content_digest) const {
  const auto found = std::find_if(artifacts.begin(), artifacts.end(), [&](const Artifact& each) {
    return each.record.content_digest == content_digest &&
           jobs::StageName(each.record.kind) == stage;
  });
  return found == artifacts.end() ? nullptr : &*found;
}

std::vector<ArtifactRecord> RecordsOf(const ArtifactScan& scan) {
  std::vector<ArtifactRecord> records;
  for (const Artifact& artifact : scan.artifacts) records.push_back(artifact.record);
  return records;
}

absl::StatusOr<ArtifactScan> ScanArtifacts(Env& env, const HomeLayout& home) {
  ArtifactScan scan;
  ASSIGN_OR_RETURN(const std::vector<std::string> entries, ArtifactEntries(env, home));
  for (const std::string& path : entries) {
    if (EntryOf(BaseName(path)) != ArtifactEntry::kArtifact) continue;
    auto artifact = ReadArtifact(env, path);
    if (artifact.ok()) {
      scan.artifacts.push_back(*std::move(artifact));
      continue;
    }
    absl::Status status = artifact.status();
    if (absl::IsNotFound(status)) status = DataLoss(path + ": has no artifact.json");
    scan.unread.push_back({path, std::move(status), DigestHint(env, path)});
  }
  std::stable_sort(scan.artifacts.begin(), scan.artifacts.end(),
                   [](const Artifact& a, const Artifact& b) {
                     return a.record.created_ms > b.record.created_ms;
                   });
  return scan;
}

std::map<std::string, std::set<std::string>> MadeFrom(const std::vector<Artifact>& artifacts,
                                                      const std::set<std::string>& digests) {
  std::map<std::string, std::set<std::string>> reasons_of_digest;
  for (const std::string& digest : digests) {
    if (!digest.empty()) reasons_of_digest[digest] = {digest};
  }
  // Inputs come before what is made from them.
  std::vector<const Artifact*> in_order;
  for (const Artifact& artifact : artifacts) in_order.push_back(&artifact);
  std::stable_sort(in_order.begin(), in_order.end(), [](const Artifact* a, const Artifact* b) {
    return a->record.kind < b->record.kind;
  });
  std::map<std::string, std::set<std::string>> made_from;
  for (const Artifact* artifact : in_order) {
    std::set<std::string> reasons;
    for (const auto& [stage, digest] : InputDigestsOf(artifact->record)) {
      const auto found = reasons_of_digest.find(digest);
      if (found != reasons_of_digest.end()) {
        reasons.insert(found->second.begin(), found->second.end());
      }
    }
    if (reasons.empty()) continue;
    made_from[artifact->record.path] = reasons;
    reasons_of_digest[artifact->record.content_digest].insert(reasons.begin(), reasons.end());
  }
  return made_from;
}

}  // namespace halcyon::storage
