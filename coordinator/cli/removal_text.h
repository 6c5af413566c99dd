// What `rm` and `cache gc` print.
#ifndef HALCYON_COORDINATOR_CLI_REMOVAL_TEXT_H_
#define HALCYON_COORDINATOR_CLI_REMOVAL_TEXT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "coordinator/housekeeping/removal.h"

namespace halcyon::coordinator {

// {"dry_run", "bytes", "removed": [{"path", "bytes"}], "kept": [{"path", "needed_by"}]}.
nlohmann::json RemovalToJson(const RemovalPlan& plan, bool dry_run);
// A line a path, and one for the sum.
std::string RemovalToText(const RemovalPlan& plan, bool dry_run);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CLI_REMOVAL_TEXT_H_
