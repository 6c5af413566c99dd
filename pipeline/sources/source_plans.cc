#include "pipeline/sources/source_plans.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <utility>

#include "base/digest.h"
#include "base/shared_file.h"
#include "jobs/source_names.h"
#include "pipeline/for_all.h"

namespace halcyon::pipeline {
namespace {

constexpr char kPlansFolder[] = "plans";

// Calls work(i) for 0 ... count - 1 on all processors; the first error by number.
absl::Status ForAllFiles(size_t count, const std::function<absl::Status(size_t)>& work) {
  std::vector<absl::Status> results(count);
  ForAll(count, ProcessorCount(), [&](size_t i, size_t) { results[i] = work(i); });
  for (absl::Status& result : results) RETURN_IF_ERROR(std::move(result));
  return absl::OkStatus();
}

absl::Status AsItIs(size_t, const absl::Status& error) { return error; }

// A source that cannot be cut may be another than the one of the digest.
absl::Status WhyNot(const std::string& source, const std::string& sha256,
                    const absl::Status& error) {
  if (absl::IsNotFound(error)) return SourceChanged(source, "it is gone");
  const auto others = Sha256OfFile(source);
  if (!others.ok() || *others == sha256) return error;
  return SourceChanged(source, "its SHA-256 differs");
}

}  // namespace

SourcePlans::SourcePlans(Env& env, const std::string& dir, uint64_t small_bytes_max)
    : env_(env),
      digests_(env, dir),
      dir_(JoinPath(dir, kPlansFolder)),
      small_bytes_max_(small_bytes_max) {}

absl::StatusOr<std::vector<std::string>> SourcePlans::DigestsOf(const jobs::DataSpec& data) {
  const std::vector<std::string> files = data.Files();
  std::vector<std::string> digests(files.size());
  ASSIGN_OR_RETURN(const auto small, PlansOfSmall(data, files, /*anew=*/false, AsItIs));
  RETURN_IF_ERROR(ForAllFiles(digests.size(), [&](size_t i) -> absl::Status {
    if (small[i]) {
      digests[i] = small[i]->sha256;
      return absl::OkStatus();
    }
    CutSource unused;
    ASSIGN_OR_RETURN(digests[i], digests_.Of(files[i], [&](const std::string& source) {
      return Read(data, source, &unused);
    }));
    return absl::OkStatus();
  }));
  return digests;
}

absl::Status SourcePlans::ReadAnew(const jobs::DataSpec& data) {
  const std::vector<std::string> files = data.Files();
  ASSIGN_OR_RETURN(const auto small, PlansOfSmall(data, files, /*anew=*/true, AsItIs));
  return ForAllFiles(files.size(), [&](size_t i) {
    if (small[i]) return absl::OkStatus();
    CutSource unused;
    const auto read = [&](const std::string& source) { return Read(data, source, &unused); };
    return digests_.ReadAnew(files[i], read).status();
  });
}

absl::StatusOr<ShardPlan> SourcePlans::PlanShards(const jobs::DataSpec& data,
                                                  const std::vector<std::string>& source_digests) {
  const std::vector<std::string> files = data.Files();
  if (source_digests.size() != files.size()) {
    return Internal(
        fmt::format("{} digests of {} files were given", source_digests.size(), files.size()));
  }
  std::map<std::string, std::string> digest_of;
  for (size_t i = 0; i < files.size(); ++i) digest_of[files[i]] = source_digests[i];
  std::vector<CutSource> sources(files.size());
  ASSIGN_OR_RETURN(auto small, PlansOfSmall(data, files, /*anew=*/false,
                                            [&](size_t i, const absl::Status& error) {
                                              return WhyNot(files[i], source_digests[i], error);
                                            }));
  RETURN_IF_ERROR(ForAllFiles(sources.size(), [&](size_t i) -> absl::Status {
    if (small[i]) {
      if (small[i]->sha256 != source_digests[i]) {
        return SourceChanged(files[i], "its SHA-256 differs");
      }
      sources[i] = *std::move(small[i]);
      return absl::OkStatus();
    }
    const auto index = digest_of.find(jobs::IndexNameOf(files[i]));
    ASSIGN_OR_RETURN(sources[i], PlanOf(data, files[i], source_digests[i],
                                        index == digest_of.end() ? "" : index->second));
    return absl::OkStatus();
  }));
  return JoinSources(data, std::move(sources));
}

absl::StatusOr<CutSource> SourcePlans::PlanOf(const jobs::DataSpec& data, const std::string& source,
                                              const std::string& sha256,
                                              const std::string& index_sha256) {
  std::optional<CutSource> plan;
  const auto read = [&](const std::string& path) { return Read(data, path, &plan.emplace()); };
  auto digest = digests_.Of(source, read);
  if (digest.ok() && *digest == sha256 && !plan) {
    const auto text = env_.ReadFile(PathOf(data, source));
    auto remembered = text.ok() ? DecodeSourcePlan(data, source, *text) : text.status();
    if (remembered.ok() && remembered->sha256 == sha256 &&
        remembered->index_sha256 == index_sha256) {
      return remembered;
    }
    digest = digests_.ReadAnew(source, read);
  }
  if (!digest.ok()) return WhyNot(source, sha256, digest.status());
  if (*digest == sha256) {
    if (plan->index_sha256 == index_sha256) return *std::move(plan);
    return SourceChanged(jobs::IndexNameOf(source), "its SHA-256 differs");
  }
  return SourceChanged(source, "its SHA-256 differs");
}

absl::StatusOr<std::string> SourcePlans::Read(const jobs::DataSpec& data, const std::string& source,
                                              CutSource* plan) {
  ASSIGN_OR_RETURN(*plan, Cut(data, source));
  RETURN_IF_ERROR(env_.CreateDirs(dir_));
  RETURN_IF_ERROR(WriteSharedFile(env_, PathOf(data, source), EncodeSourcePlan(data, source, *plan),
                                  Durability::kUnsynced));
  return plan->sha256;
}

std::string SourcePlans::PathOf(const jobs::DataSpec& data, const std::string& source) const {
  return JoinPath(dir_, PlanFileName(data, source));
}

bool SourcePlans::IsSmall(const jobs::DataSpec& data, const std::string& source) const {
  const auto size = env_.FileSize(source);
  if (!size.ok() || *size >= small_bytes_max_) return false;
  // The plan of ids with an index is of both files.
  return data.format != jobs::DataFormat::kTokens ||
         (jobs::IndexOfIds(source).empty() && jobs::IdsOfIndex(source).empty());
}

FolderPlans SourcePlans::RememberedOf(const jobs::DataSpec& data, const std::string& folder) {
  const auto text = env_.ReadFile(PathOf(data, folder));
  auto plans = text.ok() ? DecodeFolderPlans(data, folder, *text) : text.status();
  return plans.ok() ? *std::move(plans) : FolderPlans();
}

absl::StatusOr<std::vector<std::optional<CutSource>>> SourcePlans::PlansOfSmall(
    const jobs::DataSpec& data, const std::vector<std::string>& files, bool anew,
    const Explain& explain) {
  std::vector<std::optional<CutSource>> plans(files.size());
  std::vector<bool> is_small(files.size());
  std::map<std::string, FolderPlans> folders;
  for (size_t i = 0; i < files.size(); ++i) {
    is_small[i] = IsSmall(data, files[i]);
    const std::string folder = DirName(files[i]);
    if (is_small[i] && !folders.contains(folder)) folders[folder] = RememberedOf(data, folder);
  }
  std::vector<std::optional<storage::SourceRecord>> read(files.size());
  RETURN_IF_ERROR(ForAllFiles(files.size(), [&](size_t i) -> absl::Status {
    if (!is_small[i]) return absl::OkStatus();
    const FolderPlans& remembered = folders.at(DirName(files[i]));
    const auto known = anew ? remembered.end() : remembered.find(files[i]);
    const auto now = storage::LookAtSource(files[i]);
    if (known != remembered.end() && now.ok() && storage::IsSameFile(known->second.file, *now)) {
      plans[i] = known->second.plan;
      return absl::OkStatus();
    }
    const auto record = storage::ReadSource(
        files[i], [&](const std::string& source) -> absl::StatusOr<std::string> {
          ASSIGN_OR_RETURN(plans[i], Cut(data, source));
          return plans[i]->sha256;
        });
    if (!record.ok()) return explain(i, record.status());
    read[i] = *record;
    return absl::OkStatus();
  }));
  std::set<std::string> changed;
  for (size_t i = 0; i < files.size(); ++i) {
    if (!read[i]) continue;
    const std::string folder = DirName(files[i]);
    folders[folder][files[i]] = {*std::move(read[i]), *plans[i]};
    changed.insert(folder);
  }
  RETURN_IF_ERROR(env_.CreateDirs(dir_));
  for (const std::string& folder : changed) {
    std::erase_if(folders[folder], [&](const auto& one) { return !env_.Exists(one.first); });
    RETURN_IF_ERROR(WriteSharedFile(env_, PathOf(data, folder),
                                    EncodeFolderPlans(data, folder, folders[folder]),
                                    Durability::kUnsynced));
  }
  return plans;
}

}  // namespace halcyon::pipeline
