// Reads a generation from its copy on this machine (host_copy.h), and from its own folder once the
// copy fails.
#ifndef HALCYON_STORAGE_COPIES_COPIED_READER_H_
#define HALCYON_STORAGE_COPIES_COPIED_READER_H_

#include <memory>
#include <string>

#include "base/status.h"
#include "storage/copies/host_copy.h"
#include "storage/page_cache.h"

namespace halcyon::storage {

// As CacheReader::Open of `generation`, of which `copy` is one. The copy stays as long as the
// reader. Where it cannot be opened, or later cannot be read or is damaged, it is discarded with a
// warning in the log, and what was asked for comes from `generation`, as everything after it.
absl::StatusOr<std::unique_ptr<CacheReader>> OpenCopied(std::shared_ptr<const HostCopy> copy,
                                                        const std::string& generation,
                                                        const std::string& dataset);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_COPIES_COPIED_READER_H_
