// In a file of its own: the build passes the version to this file alone.
#include "coordinator/cli/commands.h"

namespace halcyon::coordinator {

std::string Version() { return HALCYON_VERSION; }

}  // namespace halcyon::coordinator
