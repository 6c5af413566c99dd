#include "coordinator/stages/start_over.h"

#include <string_view>

#include "cluster/outputs.h"

namespace halcyon::coordinator {

absl::Status StartOver(Env& env, const std::string& work_dir, Notes* notes) {
  for (const std::string_view folder : {cluster::kCheckpointsFolder, cluster::kBuildingFolder}) {
    const std::string path = JoinPath(work_dir, folder);
    if (!env.Exists(path)) continue;
    int number = 1;
    std::string aside;
    do {
      aside = path + ".set-aside-" + std::to_string(number++);
    } while (env.Exists(aside));
    RETURN_IF_ERROR(env.Rename(path, aside));
    RETURN_IF_ERROR(env.SyncDir(work_dir));
    notes->push_back("started over: what was there is now " + aside);
  }
  return absl::OkStatus();
}

}  // namespace halcyon::coordinator
