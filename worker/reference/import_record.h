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

// Which tokenizer an imported checkpoint has.
struct TokenizerSource {
  std::string file;  // of any kind (docs/tokenizers.md); "": tokenizer.json, else tokenizer.model
                     // of the checkpoint, when it has one
  std::string pattern;  // where the file leaves open how text is split
};

struct ImportedTokenizer {
  ImportedFrom made_from;  // the start of what the networks belong to; empty without a tokenizer
  std::string file;        // that was read; "": none
  std::string left_out;    // why the checkpoint's own is not taken; ""
};

// Writes tokenizer.json into `dir`: a copy of a tokenizer.json, or what another kind of file says.
// A file that was named must be readable; of the checkpoint's own it is told why it is not.
absl::StatusOr<ImportedTokenizer> ImportTokenizer(Env& env, const std::string& from,
                                                  const TokenizerSource& source,
                                                  const std::string& dir);

// Writes artifact.json into the folder of a network and returns the network's content digest. Equal
// imports give equal records: they hold neither job nor time.
absl::StatusOr<std::string> WriteImportRecord(Env& env, const std::string& dir,
                                              jobs::StageKind kind, const ImportedFrom& made_from);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_REFERENCE_IMPORT_RECORD_H_
