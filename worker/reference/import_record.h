// artifact.json of an imported network: the same protection that an artifact of training has, and
// the link between the parts of one import.
#ifndef HALCYON_WORKER_REFERENCE_IMPORT_RECORD_H_
#define HALCYON_WORKER_REFERENCE_IMPORT_RECORD_H_

#include <map>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "jobs/stages.h"

namespace halcyon::worker {

// Stage name -> content digest of what a network belongs to.
using ImportedFrom = std::map<std::string, std::string>;

// Copies the tokenizer.json of `from`, when it has one, to `dir`: the start of what its networks
// belong to.
absl::StatusOr<ImportedFrom> ImportTokenizer(Env& env, const std::string& from,
                                             const std::string& dir);

// Writes artifact.json into the folder of a network and returns the network's content digest. Equal
// imports give equal records: they hold neither job nor time.
absl::StatusOr<std::string> WriteImportRecord(Env& env, const std::string& dir,
                                              jobs::StageKind kind, const ImportedFrom& made_from);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_REFERENCE_IMPORT_RECORD_H_
