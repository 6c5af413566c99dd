#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <set>

#include "base/terminal_text.h"
#include "coordinator/cli/commands.h"
#include "coordinator/housekeeping/removal.h"
#include "coordinator/stages/artifact_store.h"
#include "coordinator/work/work_folders.h"
#include "storage/artifact_scan.h"

namespace halcyon::coordinator {
namespace {

constexpr size_t kFingerprintShown = 16;

nlohmann::json ArtifactToJson(const Artifact& artifact) {
  const storage::ArtifactRecord& record = artifact.record;
  return {{"stage", jobs::StageName(record.kind)},
          {"fingerprint", record.fingerprint},
          {"content_digest", record.content_digest},
          {"bytes", record.bytes},
          {"path", record.path},
          {"job_id", record.job_id},
          {"created_ms", record.created_ms},
          {"facts", artifact.facts}};
}

// Bytes on the disk, and how far the work is.
nlohmann::json WorkToJson(const WorkFolder& folder) {
  DiskUsage usage;
  return {{"stage", jobs::StageName(folder.kind)},
          {"fingerprint", folder.short_fingerprint},
          {"path", folder.path},
          {"job_id", folder.job_id},
          {"finished", folder.finished},
          {"step", folder.steps.empty() ? 0 : folder.steps.back()},
          {"bytes_on_disk", usage.Add(folder.path)}};
}

using UseOfJobs = std::map<std::string, std::set<StageKey>>;

nlohmann::json UsersOf(const StageKey& key, const UseOfJobs& jobs) {
  nlohmann::json users = nlohmann::json::array();
  for (const auto& [id, used] : jobs) {
    if (used.contains(key)) users.push_back(id);
  }
  return users;
}

std::string UseText(const nlohmann::json& users) {
  if (users.empty()) return "unused";
  if (users.size() == 1) return "used by " + users[0].get<std::string>();
  return fmt::format("used by {} jobs", users.size());
}

void PrintCacheRow(const nlohmann::json& row, const std::string& note) {
  PrintText(fmt::format("{:<12} {:<16} {:>10}  {:<32} {}\n", row["stage"].get<std::string>(),
                        row["fingerprint"].get<std::string>().substr(0, kFingerprintShown),
                        FormatBytes(row["bytes_on_disk"].get<uint64_t>()), UseText(row["used_by"]),
                        note));
}

std::string ProgressOf(const WorkFolder& folder) {
  std::string note = folder.finished ? "work of a finished stage" : "unfinished";
  if (!folder.steps.empty()) note += fmt::format(", step {}", folder.steps.back());
  return note;
}

absl::Status ListArtifacts(bool as_json, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(const storage::ArtifactScan scan, storage::ScanArtifacts(*Env::Posix(), home));
  std::vector<std::string> damaged, unreadable;
  for (const storage::UnreadArtifact& unread : scan.unread) {
    (absl::IsDataLoss(unread.status) ? damaged : unreadable).push_back(MessageOf(unread.status));
  }
  ASSIGN_OR_RETURN(const auto folders, ScanWork(*Env::Posix(), home));
  ASSIGN_OR_RETURN(const auto jobs, UseOfAllJobs(*Env::Posix(), home));
  nlohmann::json list = nlohmann::json::array(), work = nlohmann::json::array();
  uint64_t bytes = 0;
  if (!as_json && scan.artifacts.empty()) PrintText("no artifact in " + home.root + "\n");
  for (const Artifact& artifact : scan.artifacts) {
    DiskUsage usage;
    nlohmann::json json = ArtifactToJson(artifact);
    bytes += usage.Add(artifact.record.path);
    json["bytes_on_disk"] = usage.BytesFreed();
    json["used_by"] = UsersOf(KeyOf(artifact.record.kind, artifact.record.fingerprint), jobs);
    if (!as_json) PrintCacheRow(json, "");
    list.push_back(std::move(json));
  }
  for (const WorkFolder& folder : folders) {
    nlohmann::json json = WorkToJson(folder);
    bytes += json["bytes_on_disk"].get<uint64_t>();
    json["used_by"] = UsersOf({folder.kind, folder.short_fingerprint}, jobs);
    if (!as_json) PrintCacheRow(json, ProgressOf(folder));
    work.push_back(std::move(json));
  }
  if (as_json) {
    PrintJson({{"home", home.root},
               {"artifacts", list},
               {"work", work},
               {"damaged", damaged},
               {"unreadable", unreadable}});
    return absl::OkStatus();
  }
  if (bytes > 0) PrintText(fmt::format("{:<29} {:>10}\n", "in all", FormatBytes(bytes)));
  for (const std::string& line : damaged) PrintText("damaged: " + line + "\n");
  for (const std::string& line : unreadable) PrintText("unreadable: " + line + "\n");
  return absl::OkStatus();
}

// What `cache verify` finds out about one artifact.
struct Verified {
  std::string stage, path;
  absl::Status status;
  std::string content_digest;
  std::set<std::string> made_from;  // content digests of damaged artifacts
};

// "ok", "damaged", or "unreadable": not known, because its bytes could not be read.
const char* StateOf(const absl::Status& status) {
  if (status.ok()) return "ok";
  return absl::IsDataLoss(status) ? "damaged" : "unreadable";
}

std::vector<Verified> VerifyAll(const storage::ArtifactScan& scan) {
  std::vector<Verified> all;
  std::set<std::string> damaged;
  for (const storage::UnreadArtifact& unread : scan.unread) {
    all.push_back(
        {BaseName(DirName(unread.path)), unread.path, unread.status, unread.content_digest, {}});
  }
  for (const Artifact& artifact : scan.artifacts) {
    all.push_back({std::string(jobs::StageName(artifact.record.kind)),
                   artifact.record.path,
                   storage::VerifyArtifact(*Env::Posix(), artifact),
                   artifact.record.content_digest,
                   {}});
  }
  for (const Verified& each : all) {
    if (absl::IsDataLoss(each.status)) damaged.insert(each.content_digest);
  }
  const auto made_from = storage::MadeFrom(scan.artifacts, damaged);
  for (Verified& each : all) {
    if (const auto found = made_from.find(each.path); found != made_from.end()) {
      each.made_from = found->second;
    }
  }
  return all;
}

// The paths of the damaged artifacts with these contents.
std::vector<std::string> PathsOf(const std::vector<Verified>& all,
                                 const std::set<std::string>& digests) {
  std::vector<std::string> paths;
  for (const Verified& each : all) {
    if (absl::IsDataLoss(each.status) && digests.contains(each.content_digest)) {
      paths.push_back(each.path);
    }
  }
  return paths;
}

absl::Status Conclude(const std::vector<Verified>& all) {
  size_t damaged = 0, unreadable = 0;
  std::string first_damage, first_unreadable;
  for (const Verified& each : all) {
    if (each.status.ok()) continue;
    const bool is_damaged = absl::IsDataLoss(each.status);
    ++(is_damaged ? damaged : unreadable);
    std::string& first = is_damaged ? first_damage : first_unreadable;
    if (first.empty()) first = MessageOf(each.status);
  }
  if (damaged > 0)
    return DataLoss(fmt::format("{} damaged artifact(s): {}", damaged, first_damage));
  if (unreadable > 0) {
    return InvalidArgument(fmt::format(
        "{} artifact(s) could not be read, so it is not known whether they are whole: {}",
        unreadable, first_unreadable));
  }
  return absl::OkStatus();
}

absl::Status Verify(bool as_json, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(const storage::ArtifactScan scan, storage::ScanArtifacts(*Env::Posix(), home));
  const std::vector<Verified> all = VerifyAll(scan);
  nlohmann::json list = nlohmann::json::array();
  for (const Verified& each : all) {
    const std::vector<std::string> made_from = PathsOf(all, each.made_from);
    list.push_back({{"stage", each.stage},
                    {"path", each.path},
                    {"ok", each.status.ok()},
                    {"state", StateOf(each.status)},
                    {"error", MessageOf(each.status)},
                    {"made_from_damaged", made_from}});
    if (as_json) continue;
    std::string line = StateOf(each.status);
    if (!each.status.ok()) line += ": " + MessageOf(each.status);
    for (const std::string& path : made_from) line += "; made from " + path + ", which is damaged";
    PrintText(fmt::format("{:<12} {}  {}\n", each.stage, each.path, line));
  }
  if (as_json) PrintJson({{"home", home.root}, {"artifacts", list}});
  return Conclude(all);
}

}  // namespace

void AddCache(CLI::App& app, CommandLine* line) {
  CLI::App* cache = app.add_subcommand("cache", "Finished artifacts that jobs share");
  cache->require_subcommand(1);
  const auto as_json = std::make_shared<bool>(false);
  CLI::App* list = cache->add_subcommand(
      "list", "List the artifacts, the newest first, and unfinished work, with their sizes");
  list->add_flag("--json", *as_json, "Print as JSON");
  list->callback([=] { line->chosen = [=] { return ListArtifacts(*as_json, line->home); }; });
  CLI::App* verify = cache->add_subcommand(
      "verify", "Read every byte of every artifact and compare it with its checksums");
  verify->add_flag("--json", *as_json, "Print as JSON");
  verify->callback([=] { line->chosen = [=] { return Verify(*as_json, line->home); }; });
  AddCacheExplain(cache, line);
  AddCacheExport(cache, line);
  AddCacheImportTokens(cache, line);
  AddCacheGc(cache, line);
  AddCacheVerifyLatents(cache, line);
}

}  // namespace halcyon::coordinator
