#include "coordinator/drill/fault.h"

#include <algorithm>
#include <array>
#include <optional>

namespace halcyon::coordinator {
namespace {

struct FaultRow {
  Fault fault;
  std::string_view name, description;
};

constexpr std::array<FaultRow, 7> kFaults = {{
    {Fault::kKillRank, "kill-rank", "the last rank is killed (SIGKILL)"},
    {Fault::kStopRank, "stop-rank", "the last rank is stopped (SIGSTOP): it exists, but is silent"},
    {Fault::kStuckRank, "stuck-rank",
     "the last rank's training stands still, while its process answers"},
    {Fault::kKillLauncher, "kill-launcher", "mpirun or srun is killed (SIGKILL)"},
    {Fault::kKillCoordinator, "kill-coordinator", "halcyon run is killed (SIGKILL)"},
    {Fault::kKillAgent, "kill-agent", "an agent is killed (SIGKILL) while latents are made"},
    {Fault::kPreempt, "preempt", "the job is told to stop, and goes on"},
}};

const FaultRow& RowOf(Fault fault) {
  return *std::find_if(kFaults.begin(), kFaults.end(),
                       [fault](const FaultRow& row) { return row.fault == fault; });
}

bool CanBeMadeAt(Fault fault, DrillPlace place) {
  // Through the environment of `halcyon run`, which ranks on other hosts do not get.
  return fault != Fault::kStuckRank || place == DrillPlace::kMachine;
}

std::string NamesAt(DrillPlace place) {
  std::string names;
  for (const Fault fault : FaultsAt(place)) {
    names += (names.empty() ? "" : ",") + std::string(NameOf(fault));
  }
  return names;
}

absl::StatusOr<Fault> FaultFromName(std::string_view name, DrillPlace place) {
  const auto found = std::find_if(kFaults.begin(), kFaults.end(),
                                  [name](const FaultRow& row) { return row.name == name; });
  if (found == kFaults.end()) {
    return InvalidArgument("--faults: \"" + std::string(name) + "\" is not one of " +
                           NamesAt(place));
  }
  if (!CanBeMadeAt(found->fault, place)) {
    return InvalidArgument("--faults: " + std::string(name) +
                           " can be made only where all ranks run on this machine; choose of " +
                           NamesAt(place));
  }
  return found->fault;
}

}  // namespace

std::string_view NameOf(Fault fault) { return RowOf(fault).name; }

std::string_view DescriptionOf(Fault fault) { return RowOf(fault).description; }

std::vector<Fault> FaultsAt(DrillPlace place) {
  std::vector<Fault> faults;
  for (const FaultRow& row : kFaults) {
    if (CanBeMadeAt(row.fault, place)) faults.push_back(row.fault);
  }
  return faults;
}

absl::StatusOr<std::vector<Fault>> ParseFaults(std::string_view names, DrillPlace place) {
  if (names.empty()) return FaultsAt(place);
  std::vector<Fault> faults;
  while (true) {
    const size_t comma = names.find(',');
    ASSIGN_OR_RETURN(const Fault fault, FaultFromName(names.substr(0, comma), place));
    if (std::find(faults.begin(), faults.end(), fault) != faults.end()) {
      return InvalidArgument("--faults: " + std::string(NameOf(fault)) + " is given twice");
    }
    faults.push_back(fault);
    if (comma == std::string_view::npos) return faults;
    names.remove_prefix(comma + 1);
  }
}

}  // namespace halcyon::coordinator
