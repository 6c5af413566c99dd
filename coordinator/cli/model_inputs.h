// Which artifacts a command on trained networks works with: those that a person or a job names, and
// the others by what their records say they were made from. Artifacts that do not belong together
// are refused by their content digests.
#ifndef HALCYON_COORDINATOR_CLI_MODEL_INPUTS_H_
#define HALCYON_COORDINATOR_CLI_MODEL_INPUTS_H_

#include <map>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "storage/artifact_scan.h"

namespace halcyon::coordinator {

struct ModelInput {
  std::string dir;
  std::string content_digest;
  std::map<std::string, std::string> made_from;  // stage -> content digest; empty without a record
  bool has_record = false;
};
using ModelInputs = std::map<std::string, ModelInput>;  // by stage

// The artifact of `stage` in `dir`, where a folder without artifact.json tells its content by the
// bytes of its main file. kInvalidArgument: there is no such artifact there, or it is of another
// stage.
absl::StatusOr<ModelInput> ReadModelInput(Env& env, const std::string& stage,
                                          const std::string& dir);

// The tokenizer that `given` names: the folder of an artifact, a folder with a tokenizer.json, or a
// file. A file stands for the tokenizer that a job has made from it, by the digest in that one's
// record, since a job writes its own tokenizer.json; of several the one that `inputs` were made
// with is taken. kInvalidArgument: there is no tokenizer, or nothing was made from the file.
absl::StatusOr<ModelInput> ReadTokenizerInput(Env& env, const storage::ArtifactScan& scan,
                                              const std::string& given, const ModelInputs& inputs);

// Adds those of `stages` that are missing, where the records of `inputs` (and of what the state
// folder holds of the artifacts these name) say which they are. They are looked for in the state
// folder and beside the given artifacts, where `checkpoint import` puts them. A stage that no
// record mentions is left out. kNotFound names an artifact that a record requires and that is in no
// place.
absl::Status CompleteInputs(Env& env, const storage::ArtifactScan& scan,
                            const std::vector<std::string>& stages, ModelInputs* inputs);

// kInvalidArgument, naming both: two that do not belong together. A model goes with one autoencoder
// and one tokenizer, latents with the autoencoder and the tokens they were made from, tokens with
// their tokenizer. Text for evaluation may be another than that of training.
absl::Status CheckBelongTogether(const storage::ArtifactScan& scan, const ModelInputs& inputs);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CLI_MODEL_INPUTS_H_
