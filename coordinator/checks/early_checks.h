// Checks of a job before hours are spent on it: from its files and the machine at the
// start, and from the counts of its text once that is tokens.
#ifndef HALCYON_COORDINATOR_CHECKS_EARLY_CHECKS_H_
#define HALCYON_COORDINATOR_CHECKS_EARLY_CHECKS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/memory.h"
#include "base/status.h"
#include "jobs/estimate.h"
#include "jobs/job_spec.h"
#include "jobs/text_counts.h"
#include "storage/token_cache.h"

namespace halcyon::coordinator {

// Warnings about the files of the job, one of a kind: a text of many paragraphs that is one
// document, unless there are many files; a page of HTML. Looks at the start of some of the files.
std::vector<std::string> SourceWarnings(Env& env, const jobs::DataSpec& data);

// Tokens of the vocabulary: those of the file [tokenizer] path, else what is asked for.
// kInvalidArgument when the file cannot serve as a tokenizer.
absl::StatusOr<int64_t> VocabularyOf(const jobs::JobSpec& spec);

// What the training stages need, a line each, for a person.
std::vector<std::string> EstimateLines(const std::vector<jobs::TrainingEstimate>& estimates);

// kInvalidArgument for a stage that certainly does not fit into the memory.
absl::Status CheckMemory(const jobs::JobSpec& spec,
                         const std::vector<jobs::TrainingEstimate>& estimates,
                         const MemoryLimit& limit);
// A warning for each stage that may not fit, and one when ranks are to train with more threads than
// there are processors.
std::vector<std::string> MachineWarnings(const jobs::JobSpec& spec,
                                         const std::vector<jobs::TrainingEstimate>& estimates,
                                         const std::optional<MemoryLimit>& limit,
                                         int64_t processors);

// Whether this machine's processors multiply matrices of bfloat16 faster than of float32
// (AVX512_BF16 or AMX).
bool HasFastBFloat16();
// A warning for each precision of `stages` that is bfloat16 when that only makes the stage slow
// here: without `has_fast_bfloat16`, or with arithmetic that leaves the processor's units unused.
// None for GPUs.
std::vector<std::string> PrecisionWarnings(const jobs::JobSpec& spec,
                                           const std::vector<jobs::StageKind>& stages,
                                           bool has_fast_bfloat16);

// kInvalidArgument: a source of ids is in no form that can be read, by its beginning and size.
absl::Status CheckTokenFiles(Env& env, const jobs::DataSpec& data);

// The stages that a run with `--until` makes; all when `until` is "". kInvalidArgument: the job has
// no such stage.
absl::StatusOr<std::vector<jobs::StageKind>> StagesToMake(const jobs::JobSpec& spec,
                                                          const std::string& until);
// Whether one of them is of ranks.
bool HasGang(const std::vector<jobs::StageKind>& stages);

// All warnings about a job before it starts, of which `stages` are made: about its settings, its
// files and this machine. kInvalidArgument as VocabularyOf and CheckTokenFiles.
absl::StatusOr<std::vector<std::string>> WarningsOf(const jobs::JobSpec& spec,
                                                    const std::vector<jobs::StageKind>& stages,
                                                    const std::optional<MemoryLimit>& limit);

// Counts the text of a finished token cache as the stages of this job divide it. `heldout_shards`:
// how many of its shards, the last ones, are held out whole.
absl::StatusOr<jobs::TextCounts> CountText(const jobs::JobSpec& spec, storage::TokenReader& tokens,
                                           uint32_t heldout_shards = 0);

// kInvalidArgument: a source that has a share holds no training window, as WindowsOfSources finds
// later; kFailedPrecondition likewise. `facts`: of the tokens' artifact.
absl::Status CheckSourceWindows(const jobs::JobSpec& spec, storage::TokenReader& tokens,
                                const nlohmann::json& facts);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CHECKS_EARLY_CHECKS_H_
