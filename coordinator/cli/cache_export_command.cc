#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "coordinator/cli/commands.h"
#include "pipeline/cache_export.h"
#include "storage/artifact_reader.h"
#include "storage/artifact_scan.h"

namespace halcyon::coordinator {
namespace {

struct CacheExportArguments {
  std::string artifact, folder;
  bool json = false;
};

bool IsCache(jobs::StageKind kind) {
  return kind == jobs::StageKind::kTokens || kind == jobs::StageKind::kLatents;
}

// The path of the one cache whose fingerprint begins so.
absl::StatusOr<std::string> FindCache(const storage::HomeLayout& home, const std::string& start) {
  ASSIGN_OR_RETURN(const storage::ArtifactScan scan, storage::ScanArtifacts(*Env::Posix(), home));
  std::vector<std::string> found;
  for (const storage::Artifact& artifact : scan.artifacts) {
    if (!artifact.record.fingerprint.starts_with(start)) continue;
    if (!IsCache(artifact.record.kind)) {
      return InvalidArgument(fmt::format("{} is of stage {}; tokens and latents are exported",
                                         artifact.record.path,
                                         jobs::StageName(artifact.record.kind)));
    }
    found.push_back(artifact.record.path);
  }
  if (found.size() == 1) return found.front();
  if (!found.empty()) {
    return InvalidArgument(fmt::format("{} artifacts begin with {}: {}; give more digits",
                                       found.size(), start, fmt::join(found, ", ")));
  }
  return NotFound(
      fmt::format("no tokens or latents in {} whose fingerprint begins with \"{}\": `halcyon cache "
                  "list` has them",
                  home.root, start));
}

absl::Status ExportCacheArrays(const CacheExportArguments& arguments,
                               const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(const std::string path, FindCache(home, arguments.artifact));
  ASSIGN_OR_RETURN(auto artifact, storage::ArtifactReader::Open(*Env::Posix(), path));
  ASSIGN_OR_RETURN(const auto cache, artifact.OpenCache());
  RETURN_IF_ERROR(Env::Posix()->CreateDirs(arguments.folder));
  ASSIGN_OR_RETURN(const std::vector<pipeline::ExportedArray> arrays,
                   pipeline::ExportCache(*cache, arguments.folder));
  nlohmann::json list = nlohmann::json::array();
  for (const pipeline::ExportedArray& array : arrays) {
    list.push_back({{"path", array.path}, {"type", array.type}, {"shape", array.shape}});
    if (arguments.json) continue;
    PrintText(fmt::format("{}: {} [{}]\n", array.path, array.type, fmt::join(array.shape, ", ")));
  }
  if (arguments.json) PrintJson({{"artifact", path}, {"arrays", list}});
  return absl::OkStatus();
}

}  // namespace

void AddCacheExport(CLI::App* cache, CommandLine* line) {
  const auto arguments = std::make_shared<CacheExportArguments>();
  CLI::App* command =
      cache->add_subcommand("export", "Write the tokens or latents of an artifact as NumPy arrays");
  command
      ->add_option("artifact", arguments->artifact,
                   "Its fingerprint, or as many of its first digits as are needed (cache list)")
      ->required();
  command->add_option("folder", arguments->folder, "Where to; made when it is missing")->required();
  command->add_flag("--json", arguments->json, "Print as JSON");
  command->callback(
      [=] { line->chosen = [=] { return ExportCacheArrays(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
