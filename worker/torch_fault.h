// What LibTorch throws, as an error that a person reads.
#ifndef HALCYON_WORKER_TORCH_FAULT_H_
#define HALCYON_WORKER_TORCH_FAULT_H_

#include <exception>
#include <string>

#include "base/status.h"

namespace halcyon::worker {

// kInternal, "WHERE: what `error` says". The stack of calls that LibTorch puts behind it, tens of
// lines, goes into the log instead.
absl::Status TorchFault(const std::string& where, const std::exception& error);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_TORCH_FAULT_H_
