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

// Ids with an index are two files, NAME.bin and NAME.idx.
// NAME.idx for NAME.bin, and the reverse; "" for any other name. There need not be such a file.
std::string IndexNameOf(const std::string& file);
std::string IdsNameOf(const std::string& file);
// The file's other half where that exists; else "".
std::string IndexOfIds(const std::string& file);
std::string IdsOfIndex(const std::string& file);

// Whether a source may be such a file: text may be packed, or a page of HTML, which is no JSON
// lines; ids are not packed.
bool MayBeSource(const FileKind& kind, DataFormat format);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_SOURCE_NAMES_H_
