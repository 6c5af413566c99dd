// `halcyon checkpoint import`, `checkpoint export` and `probe`, for which `halcyon` executes
// halcyon-worker with checkpoint-import, checkpoint-export and probe.
#ifndef HALCYON_WORKER_COMMANDS_REFERENCE_COMMANDS_H_
#define HALCYON_WORKER_COMMANDS_REFERENCE_COMMANDS_H_

#include <functional>

#include "base/status.h"

namespace CLI {
class App;
}

namespace halcyon::worker {

// Declares the three. Parsing the one that the user gave sets `chosen` to the function that runs
// it.
void AddReferenceCommands(CLI::App& app, std::function<absl::Status()>* chosen);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_COMMANDS_REFERENCE_COMMANDS_H_
