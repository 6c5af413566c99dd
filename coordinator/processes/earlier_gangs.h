// The launches of gangs that an earlier coordinator of the job has left: what its journal says of
// them, and which may be adopted.
#ifndef HALCYON_COORDINATOR_PROCESSES_EARLIER_GANGS_H_
#define HALCYON_COORDINATOR_PROCESSES_EARLIER_GANGS_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/status.h"
#include "cluster/launcher.h"
#include "storage/job_record.h"

namespace halcyon::coordinator {

struct EarlierGangRecord {
  std::string fingerprint;  // of the stage
  uint64_t claim = 0;       // the two are the fence of what it commits
  uint64_t launch = 0;
  uint64_t ranks = 0;
  nlohmann::json launcher;  // cluster::Gang::record()
};
nlohmann::json ToJson(const EarlierGangRecord& gang);
// kDataLoss on anything that ToJson did not make.
absl::StatusOr<EarlierGangRecord> EarlierGangFromJson(const nlohmann::json& from);

// By the label of the stage.
using EarlierGangs = std::map<std::string, EarlierGangRecord>;

// Those of the history whose launcher runs on this machine. They are left running.
EarlierGangs FindEarlierGangs(const storage::JobHistory& history, cluster::GangLauncher& launcher);

// Ends those of the history that still run.
void EndEarlierGangs(const storage::JobHistory& history, cluster::GangLauncher& launcher);

// What the process of a gang's launcher is called in the journal: "model-launcher".
std::string LauncherName(const std::string& label);
// Whether a process of that name belongs to one of the gangs.
bool IsOfGangs(const std::string& process_name, const EarlierGangs& gangs);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PROCESSES_EARLIER_GANGS_H_
