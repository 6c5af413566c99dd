// Writes weights in one or several files (weights_index.h), one tensor in memory at a time.
#ifndef HALCYON_STORAGE_WEIGHTS_WEIGHTS_WRITER_H_
#define HALCYON_STORAGE_WEIGHTS_WEIGHTS_WRITER_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/status.h"
#include "storage/weights/weights_index.h"

namespace halcyon::storage {

// The bytes of a tensor, as many as its shape needs. They are used before the next call.
using TensorSource = std::function<absl::StatusOr<std::string_view>(const TensorInfo& tensor)>;

// Writes and syncs the files of `layout` into the folder `dir`, each with `metadata`, and the index
// where there are several. After an error files may be left that are whole.
absl::Status WriteWeights(Env& env, const std::string& dir, const WeightsLayout& layout,
                          const std::map<std::string, std::string>& metadata,
                          const TensorSource& source);

// The index alone, of files written elsewhere; nothing for a layout of one file.
absl::Status WriteWeightsIndex(Env& env, const std::string& dir, const WeightsLayout& layout);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_WEIGHTS_WEIGHTS_WRITER_H_
