// The files that an entry of [data] sources names, and which kinds of files they may be.
#ifndef HALCYON_JOBS_SOURCE_NAMES_H_
#define HALCYON_JOBS_SOURCE_NAMES_H_

#include <string>
#include <vector>

#include "base/file_kind.h"
#include "base/status.h"
#include "jobs/job_spec.h"

namespace halcyon::jobs {

// `name`, an absolute path, is
//   - a file, also one that is not there: itself;
//   - a folder: all files in it and below, but for those whose name or folder begins with a point;
//   - a pattern with *, ? or [...] (glob(7)) that is no file's name: the files that it matches.
// Sorted by their bytes, so that the order is that of every machine and locale.
// kInvalidArgument: a folder without files, a pattern that matches none.
absl::StatusOr<std::vector<std::string>> FilesNamed(const std::string& name);

// Whether the text of such a file can be read: it is packed, or a page of HTML, which is text but
// no JSON lines.
bool MayBeSource(const FileKind& kind, DataFormat format);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_SOURCE_NAMES_H_
