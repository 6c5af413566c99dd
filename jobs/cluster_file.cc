#include "jobs/cluster_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>

#include "base/env.h"
#include "jobs/key_table.h"
#include "jobs/slurm_keys.h"
#include "jobs/spec_checks.h"
#include "jobs/spec_reader.h"

namespace halcyon::jobs {
namespace {

constexpr char kSystemFile[] = "/etc/halcyon/cluster.toml";

std::vector<SpecKey> ClusterKeys(ClusterFile& file) {
  KeyTable keys;
  keys.Section("environment");
  keys.Text("init", &file.init);
  keys.List("modules", &file.modules);
  keys.Table("variables", &file.variables);
  keys.Section("hosts");
  keys.Text("copy_caches_to", &file.copy_caches_to);
  keys.Section("slurm");
  keys.Text("commands", &file.commands);
  keys.Text("partition", &file.slurm.partition);
  keys.Text("account", &file.slurm.account);
  keys.Text("qos", &file.slurm.qos);
  keys.Text("time", &file.slurm.time);
  keys.Text("gres", &file.slurm.gres);
  keys.Text("constraint", &file.slurm.constraint);
  keys.Text("exclude", &file.slurm.exclude);
  keys.Text("container_image", &file.slurm.container_image);
  keys.Table("options", &file.slurm.options);
  return keys.Take();
}

bool IsModuleName(std::string_view name) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("_.+-/").find(static_cast<char>(c)) != std::string_view::npos;
  };
  return !name.empty() && name[0] != '-' && std::all_of(name.begin(), name.end(), allowed);
}

bool IsVariableName(std::string_view name) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         std::all_of(name.begin(), name.end(), allowed);
}

void CheckEnvironment(const ClusterFile& file, const SpecLines& lines, SpecErrors& errors) {
  for (const auto& [key, path] :
       {std::pair<std::string, std::string>{"environment.init", file.init},
        {"hosts.copy_caches_to", file.copy_caches_to},
        {"slurm.commands", file.commands}}) {
    if (!path.empty()) CheckAbsolute(key, path, lines, errors);
  }
  for (size_t i = 0; i < file.modules.size(); ++i) {
    if (IsModuleName(file.modules[i])) continue;
    Refuse({fmt::format("environment.modules[{}]", i)},
           Quoted(file.modules[i]) +
               " is not the name of a module; use letters, digits, '_', '.', '+', '-' and '/'",
           lines, errors);
  }
  for (const auto& [name, value] : file.variables) {
    if (IsVariableName(name)) continue;
    Refuse({"environment.variables"},
           Quoted(name) + " is not the name of a variable; use letters, digits and '_'", lines,
           errors);
  }
}

// Whoever writes this file has a say in what every job runs.
absl::Status CheckOwner(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return InvalidArgument(MessageOf(ErrnoStatus(errno, "cannot read " + path)));
  }
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return InvalidArgument(path + ": belongs to another user; it must belong to root or to you");
  }
  if ((info.st_mode & S_IWOTH) != 0) {
    return InvalidArgument(path + ": everybody may write it; run chmod o-w on it");
  }
  return absl::OkStatus();
}

std::string Choose(const std::string& home_root) {
  const char* variable = std::getenv("HALCYON_CLUSTER");
  if (variable != nullptr && *variable != '\0') return variable;
  for (const std::string& path : {JoinPath(home_root, "cluster.toml"), std::string(kSystemFile)}) {
    if (Env::Posix()->Exists(path)) return path;
  }
  return "";
}

}  // namespace

absl::StatusOr<ClusterFile> ParseClusterFile(std::string_view toml, const std::string& file_name) {
  ClusterFile file;
  const std::vector<SpecKey> keys = ClusterKeys(file);
  SpecErrors errors(file_name);
  const SpecLines lines = ReadSpecToml(toml, keys, errors);
  if (errors.Has(kSyntaxPath)) return errors.ToStatus();
  CheckEnvironment(file, lines, errors);
  CheckSlurm("slurm", file.slurm, lines, errors);
  RETURN_IF_ERROR(errors.ToStatus());
  return file;
}

absl::StatusOr<ClusterFile> LoadClusterFile(const std::string& home_root) {
  const std::string path = Choose(home_root);
  if (path.empty()) return ClusterFile();
  RETURN_IF_ERROR(CheckOwner(path));
  const auto text = Env::Posix()->ReadFile(path);
  if (!text.ok()) return InvalidArgument(MessageOf(text.status()));
  return ParseClusterFile(*text, path);
}

SlurmSpec WithClusterDefaults(SlurmSpec job, const SlurmSpec& cluster) {
  for (std::string SlurmSpec::*value : {&SlurmSpec::partition, &SlurmSpec::account, &SlurmSpec::qos,
                                        &SlurmSpec::time, &SlurmSpec::gres, &SlurmSpec::constraint,
                                        &SlurmSpec::exclude, &SlurmSpec::container_image}) {
    if ((job.*value).empty()) job.*value = cluster.*value;
  }
  job.options.insert(cluster.options.begin(), cluster.options.end());
  return job;
}

}  // namespace halcyon::jobs
