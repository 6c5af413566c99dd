#include "worker/torch_fault.h"

#include <c10/util/Exception.h>
#include <spdlog/spdlog.h>

namespace halcyon::worker {

absl::Status TorchFault(const std::string& where, const std::exception& error) {
  const auto* const fault = dynamic_cast<const c10::Error*>(&error);
  if (fault == nullptr) return Internal(where + ": " + error.what());
  spdlog::error("{}: {}", where, error.what());
  return Internal(where + ": " + fault->what_without_backtrace());
}

}  // namespace halcyon::worker
