#include "coordinator/housekeeping/job_use.h"

#include <string_view>

#include "storage/home.h"

namespace halcyon::coordinator {
namespace {

constexpr std::string_view kInputPrefix = "input.";

template <typename Job>
std::set<StageKey> KeysOfStages(const Job& job) {
  std::set<StageKey> keys;
  for (const auto& stage : job.stages) {
    if (!stage.fingerprint.empty()) keys.insert(KeyOf(stage.kind, stage.fingerprint));
  }
  return keys;
}

// Something made, and the content digests of what it was made from.
struct Made {
  StageKey key;
  std::string name;  // "model 9c1185a5c5e9fc54"
  std::set<std::string> inputs;
};

Made MadeFrom(const StageKey& key, const std::vector<jobs::FingerprintField>& fields) {
  Made made{key, std::string(jobs::StageName(key.kind)) + " " + key.short_fingerprint, {}};
  for (const jobs::FingerprintField& field : fields) {
    if (field.name.starts_with(kInputPrefix)) made.inputs.insert(field.value);
  }
  return made;
}

std::vector<Made> EverythingMade(const HomeContents& contents) {
  std::vector<Made> all;
  for (const storage::ArtifactRecord& artifact : contents.artifacts) {
    all.push_back(MadeFrom(KeyOf(artifact.kind, artifact.fingerprint), artifact.fields));
  }
  for (const WorkFolder& folder : contents.work) {
    const StageKey key{folder.kind, folder.short_fingerprint};
    if (folder.made) all.push_back(MadeFrom(key, folder.made->fields));
  }
  return all;
}

void Keep(const StageKey& key, const std::string& who, JobParts* parts) {
  if (parts->removable.erase(key) > 0) parts->needed[key] = who;
}

// What stays keeps what it was made from, which may keep more in turn.
void KeepInputs(const HomeContents& contents, JobParts* parts) {
  const std::vector<Made> all = EverythingMade(contents);
  for (size_t kept_before = parts->needed.size() + 1; kept_before != parts->needed.size();) {
    kept_before = parts->needed.size();
    for (const Made& made : all) {
      if (parts->removable.contains(made.key)) continue;
      for (const storage::ArtifactRecord& artifact : contents.artifacts) {
        if (!made.inputs.contains(artifact.content_digest)) continue;
        Keep(KeyOf(artifact.kind, artifact.fingerprint), made.name, parts);
      }
    }
  }
}

}  // namespace

StageKey KeyOf(jobs::StageKind kind, const std::string& fingerprint) {
  return {kind, fingerprint.substr(0, storage::kShortFingerprint)};
}

std::set<StageKey> UsedBy(const storage::JobRecord& job) { return KeysOfStages(job); }
std::set<StageKey> UsedBy(const JobStatus& job) { return KeysOfStages(job); }

JobParts PartsOf(const std::string& job_id, const HomeContents& contents) {
  JobParts parts;
  if (const auto used = contents.jobs.find(job_id); used != contents.jobs.end()) {
    parts.removable = used->second;
  }
  for (const storage::ArtifactRecord& artifact : contents.artifacts) {
    if (artifact.job_id != job_id) continue;
    parts.removable.insert(KeyOf(artifact.kind, artifact.fingerprint));
  }
  for (const WorkFolder& folder : contents.work) {
    if (folder.job_id == job_id) parts.removable.insert({folder.kind, folder.short_fingerprint});
  }
  for (const auto& [id, used] : contents.jobs) {
    if (id == job_id) continue;
    for (const StageKey& key : used) Keep(key, "job " + id, &parts);
  }
  KeepInputs(contents, &parts);
  return parts;
}

JobParts UnusedParts(const HomeContents& contents,
                     const std::function<bool(const StageKey&)>& may_go) {
  std::set<StageKey> used;
  for (const auto& [id, keys] : contents.jobs) used.insert(keys.begin(), keys.end());
  JobParts parts;
  const auto look_at = [&](const StageKey& key) {
    if (!used.contains(key) && may_go(key)) parts.removable.insert(key);
  };
  for (const storage::ArtifactRecord& artifact : contents.artifacts) {
    look_at(KeyOf(artifact.kind, artifact.fingerprint));
  }
  for (const WorkFolder& folder : contents.work) look_at({folder.kind, folder.short_fingerprint});
  KeepInputs(contents, &parts);
  return parts;
}

}  // namespace halcyon::coordinator
