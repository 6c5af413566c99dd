// How a job's coordinator and the members of an external world (external_world.h) talk: files in
// the folder external/ of the job's folder, each written by one process and replaced as a whole.
//
//   order      the coordinator's: what the members do now. Executed, so mode 0600 like the keys.
//   member-R   of the member that is rank R: that it lives, and how its rank fares
//
// No clocks are compared: a member lives while its `beat` changes, by the observer's clock; on the
// observer's machine, while its process exists. A member that was started in the place of another
// one has a higher generation.
#ifndef HALCYON_CLUSTER_EXTERNAL_FILES_H_
#define HALCYON_CLUSTER_EXTERNAL_FILES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/process_identity.h"
#include "base/status.h"
#include "cluster/process.h"

namespace halcyon::cluster {

std::string ExternalFolder(const std::string& job_folder);

struct LaunchOrder {
  enum class Kind {
    kRun,     // each member starts its rank, once for this number
    kEnd,     // ranks of this and earlier numbers are killed
    kClosed,  // the job has ended: so do the members
  };
  uint64_t number = 0;  // rises with each order of kind kRun or kClosed
  Kind kind = Kind::kRun;
  std::string name;                  // of the launch, unlike that of any other
  std::vector<std::string> members;  // their ids, by rank: another member does not take part
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;
  std::string log_path, working_dir;
  int exit_code = 0;  // kClosed: of the job
  bool operator==(const LaunchOrder&) const = default;
};

absl::Status WriteOrder(const std::string& folder, const LaunchOrder& order);
// kNotFound: there was none yet. kDataLoss: it cannot be read as one.
absl::StatusOr<LaunchOrder> ReadOrder(const std::string& folder);

struct MemberNote {
  std::string id;  // of this start of the member, unlike that of any other
  uint64_t generation = 0, beat = 0;
  int rank = 0, local_rank = 0, world_size = 1;
  LocatedProcess process;
  bool has_left = false;  // it has ended by itself
  // The last launch that it has taken part in.
  uint64_t launch = 0;
  bool is_running = false;
  std::optional<ExitStatus> exit;  // of its rank; nullopt: while it runs, or it was not started
  std::string error;               // why it could not be started
};

absl::Status WriteNote(Env& env, const std::string& folder, const MemberNote& note);
// As ReadOrder.
absl::StatusOr<MemberNote> ReadNote(Env& env, const std::string& folder, int rank);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_EXTERNAL_FILES_H_
