// jobs/JOB/processes.json: every process that this coordinator has started, so that the next one
// can end them when this one dies.
#ifndef HALCYON_COORDINATOR_PROCESS_REGISTRY_H_
#define HALCYON_COORDINATOR_PROCESS_REGISTRY_H_

#include <map>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "cluster/process.h"

namespace halcyon::coordinator {

// Not thread-safe.
class ProcessRegistry {
 public:
  ProcessRegistry(Env* env, std::string path) : env_(env), path_(std::move(path)) {}

  // Remembers the process under its name, in place of an earlier one.
  absl::Status Add(const std::string& name, const cluster::ProcessIdentity& process);

  // What a file holds of this boot of this machine: a pid means nothing in another. Empty when
  // there is no file. kDataLoss when it cannot be read as one.
  static absl::StatusOr<std::map<std::string, cluster::ProcessIdentity>> Read(
      Env& env, const std::string& path);

 private:
  Env* env_;
  std::string path_;
  std::map<std::string, cluster::ProcessIdentity> processes_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_PROCESS_REGISTRY_H_
