// A gang that was launched: a handle, whatever started it and on however many hosts its ranks run.
// Those of external_launcher.h have no launcher that is a process of the coordinator's.
// An agent that a launcher starts on another host is a gang of one.
#ifndef HALCYON_CLUSTER_GANG_H_
#define HALCYON_CLUSTER_GANG_H_

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cluster/process.h"

namespace halcyon::cluster {

struct GangEnd {
  // How the launcher ended: with a non-zero code when a rank failed. nullopt: not known, because
  // another process had started the launcher.
  std::optional<ExitStatus> exit = {};
  absl::Status failure = {};  // not OK: what went wrong, where no process' end says it
  bool ok() const { return failure.ok() && (!exit || exit->ok()); }
  std::string ToString() const;  // "exit code 3"; "an exit code that is not known"
};

// Not thread-safe. The destructor kills the gang unless it has ended.
class Gang {
 public:
  virtual ~Gang() = default;
  // What must come before the ranks are started, for a person; "": they are, or will be at once.
  // Poll moves it on.
  virtual std::string waits_for() const { return ""; }
  // nullopt while the launcher runs; it ends when all ranks have ended.
  virtual std::optional<GangEnd> Poll() = 0;
  // Ends the ranks on all hosts. Does not wait: Poll says when the launcher is gone; what it has
  // started elsewhere ends within seconds of it.
  virtual void Kill() = 0;
  // Gives the gang up without ending it: another coordinator has it now. The destructor leaves it
  // alone.
  virtual void Leave() = 0;
  // The launcher's process, which is on this machine: the ranks that run here descend from it.
  // nullopt: the ranks have no launcher that the coordinator has started.
  virtual std::optional<ProcessIdentity> launcher() const = 0;
  // Where its ranks were placed; empty: on this machine, or where others have started them.
  virtual const std::vector<std::string>& hosts() const = 0;
  // What a later coordinator needs to find the gang: AdoptGang reads it.
  virtual nlohmann::json record() const = 0;
};

// Of a gang of one rank that was started without a launcher: its process is the rank.
inline constexpr char kNoLauncher[] = "exec";

struct GangDescription {
  std::string launcher;            // what started it: "mpirun", "srun", kNoLauncher
  std::vector<std::string> hosts;  // where ranks run; empty: on this machine
  // A command that ends ranks which the death of the launcher would leave alive, run by Kill before
  // the launcher is killed. Empty: there is none.
  std::vector<std::string> kill_command = {};
};

// The gang of a launcher that this process has started.
std::unique_ptr<Gang> MakeGang(std::unique_ptr<ChildProcess> launcher, GangDescription description);

// The gang of a launcher that another process has started, by the record() of its gang.
// kNotFound: its launcher has ended; what is left of its ranks has been told to end by the record's
// kill command. kFailedPrecondition: the launcher ran on another machine, or in a container of its
// own, and cannot be looked at from here. kDataLoss: no such record.
absl::StatusOr<std::unique_ptr<Gang>> AdoptGang(const nlohmann::json& record);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_GANG_H_
