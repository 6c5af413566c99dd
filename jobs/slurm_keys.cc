#include "jobs/slurm_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <regex>

#include "jobs/key_table.h"
#include "jobs/spec_checks.h"

namespace halcyon::jobs {
namespace {

constexpr int64_t kNodesMax = 1024;
constexpr int64_t kSignalSecondsMax = 65535;  // Slurm keeps it in 16 bits
constexpr size_t kValueLengthMax = 1000;
constexpr std::string_view kValueSigns = " _.,:=/@%+-[]()&|*!#~";

// Options of sbatch that the script gives itself, or that have a key of their own.
constexpr std::string_view kOwnOptions[] = {"account",
                                            "constraint",
                                            "container-image",
                                            "cpus-per-task",
                                            "error",
                                            "exclude",
                                            "gres",
                                            "job-name",
                                            "nodes",
                                            "ntasks-per-node",
                                            "open-mode",
                                            "output",
                                            "no-requeue",
                                            "partition",
                                            "qos",
                                            "requeue",
                                            "signal",
                                            "time"};
// Options with which the script would not run once, as it is, on the nodes of the job.
constexpr std::string_view kForeignOptions[] = {
    "array",      "bb",    "bbf",      "chdir", "export",    "export-file", "help",
    "ignore-pbs", "input", "parsable", "quiet", "test-only", "usage",       "verbose",
    "version",    "wait",  "wrap",     "uid",   "gid",       "get-user-env"};

bool IsOptionName(std::string_view name) {
  const auto allowed = [](unsigned char c) {
    return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-';
  };
  return name.size() > 1 && name[0] != '-' && std::all_of(name.begin(), name.end(), allowed);
}

template <typename Names>
bool IsAmong(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// What is wrong with a further option; "": nothing.
std::string OptionFault(const std::string& name, const std::string& value) {
  if (!IsOptionName(name)) {
    return "is not an option of sbatch; write its long name without dashes before it, such as "
           "mail-user";
  }
  if (IsAmong(kOwnOptions, name)) {
    return "is set by halcyon, or has a key of its own in [launch.slurm]; remove it here";
  }
  if (IsAmong(kForeignOptions, name)) {
    return "would change how the job's script is run; remove it";
  }
  if (!value.empty() && !IsSlurmValue(value)) {
    return fmt::format("holds {}, but a value has letters, digits and {} only", Quoted(value),
                       kValueSigns);
  }
  return "";
}

}  // namespace

bool IsSlurmValue(std::string_view value) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || kValueSigns.find(static_cast<char>(c)) != std::string_view::npos;
  };
  return !value.empty() && value.size() <= kValueLengthMax && value[0] != '-' && value[0] != ' ' &&
         value.back() != ' ' && std::all_of(value.begin(), value.end(), allowed);
}

bool IsSlurmTime(std::string_view value) {
  static const std::regex kTime(R"(\d{1,7}(:\d{1,2}){0,2}|\d{1,4}-\d{1,2}(:\d{1,2}){0,2})");
  return std::regex_match(value.begin(), value.end(), kTime);
}

void AddSlurm(const std::string& section, SlurmSpec& slurm, KeyTable& keys) {
  keys.Section(section);
  keys.Text("partition", &slurm.partition);
  keys.Text("account", &slurm.account);
  keys.Text("qos", &slurm.qos);
  keys.Text("time", &slurm.time);
  keys.Integer("nodes", &slurm.nodes, 1, kNodesMax, "an allocation has a node");
  keys.Integer("ntasks_per_node", &slurm.ntasks_per_node, 0, kNodesMax,
               "0 means launch.ranks by the nodes");
  keys.Integer("cpus_per_task", &slurm.cpus_per_task, 0, kNodesMax, "0 means launch.threads");
  keys.Text("gres", &slurm.gres);
  keys.Text("constraint", &slurm.constraint);
  keys.Text("exclude", &slurm.exclude);
  keys.Text("container_image", &slurm.container_image);
  keys.Boolean("requeue", &slurm.requeue);
  keys.Integer("signal_s", &slurm.signal_s, 0, kSignalSecondsMax, "0 means no signal");
  keys.Table("options", &slurm.options);
}

void CheckSlurm(const std::string& section, const SlurmSpec& slurm, const SpecLines& lines,
                SpecErrors& errors) {
  const auto refuse = [&](const std::string& key, const std::string& message) {
    Refuse({section + "." + key}, message, lines, errors);
  };
  const std::pair<const char*, const std::string&> values[] = {
      {"partition", slurm.partition},
      {"account", slurm.account},
      {"qos", slurm.qos},
      {"gres", slurm.gres},
      {"exclude", slurm.exclude},
      {"constraint", slurm.constraint},
      {"container_image", slurm.container_image}};
  for (const auto& [key, value] : values) {
    if (value.empty() || IsSlurmValue(value)) continue;
    refuse(key, fmt::format("{} may not be handed to Slurm; use letters, digits and {} only, not "
                            "'-' or a space first",
                            Quoted(value), kValueSigns));
  }
  if (!slurm.time.empty() && !IsSlurmTime(slurm.time)) {
    refuse("time", Quoted(slurm.time) +
                       " is not a time as sbatch takes it; write for example \"90\" (minutes), "
                       "\"12:00:00\" or \"2-00\" (days-hours)");
  }
  for (const auto& [name, value] : slurm.options) {
    const std::string fault = OptionFault(name, value);
    if (!fault.empty()) refuse("options." + name, Quoted(name) + " " + fault);
  }
}

}  // namespace halcyon::jobs
