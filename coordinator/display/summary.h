// What a job says at its end: its figures, where its artifacts are, sample texts, what to try next.
#ifndef HALCYON_COORDINATOR_DISPLAY_SUMMARY_H_
#define HALCYON_COORDINATOR_DISPLAY_SUMMARY_H_

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/env.h"
#include "coordinator/job_status.h"
#include "coordinator/stages/artifact_store.h"

namespace halcyon::coordinator {

// Adds to the facts of the tokens' artifact, as "sources", what each source gave to it:
// {"name", "documents", "tokens", "heldout_documents", "heldout_tokens", "share"}. Adds nothing
// where there is one source only. Errors as of storage/artifact_reader.h.
absl::Status AddSourceCounts(Env& env, const jobs::DataSpec& data,
                             std::map<jobs::StageKind, Artifact>* artifacts);

// For programs, and for jobs/JOB/summary.json: {"job_id", "state", "seconds", "stages": {STAGE:
// {"state", "fingerprint", "content_digest", "path", "bytes", "facts"}}}.
nlohmann::json SummaryJson(const JobStatus& status,
                           const std::map<jobs::StageKind, Artifact>& artifacts);

// For a person, with what quality.h says of the figures. A figure that a stage did not report is
// left out. `home`: the state folder as the user has named it, which the commands to try next need,
// too; "" when it was not given.
std::string SummaryText(const JobStatus& status,
                        const std::map<jobs::StageKind, Artifact>& artifacts,
                        const std::string& home = "");

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DISPLAY_SUMMARY_H_
