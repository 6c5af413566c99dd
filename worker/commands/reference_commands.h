// `halcyon checkpoint import`, `checkpoint export` and `probe`, which `halcyon` hands over to
// halcyon-worker as checkpoint-import, checkpoint-export and probe.
#ifndef HALCYON_WORKER_COMMANDS_REFERENCE_COMMANDS_H_
#define HALCYON_WORKER_COMMANDS_REFERENCE_COMMANDS_H_

#include <functional>

#include "base/status.h"

namespace CLI {
class App;
}

namespace halcyon::worker {

// Declares the three. The one that the user chose leaves in `chosen` what to do.
void AddReferenceCommands(CLI::App& app, std::function<absl::Status()>* chosen);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_COMMANDS_REFERENCE_COMMANDS_H_
