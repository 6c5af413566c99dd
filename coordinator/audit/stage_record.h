// What is recorded of a stage that trains: its settings, and the sample log of the steps that are
// in its weights.
#ifndef HALCYON_COORDINATOR_AUDIT_STAGE_RECORD_H_
#define HALCYON_COORDINATOR_AUDIT_STAGE_RECORD_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "coordinator/job_status.h"
#include "jobs/job_spec.h"
#include "storage/home.h"
#include "storage/sample_log.h"

namespace halcyon::coordinator {

// The schedule of a stage that trains.
inline const jobs::TrainSpec& TrainSpecOf(jobs::StageKind kind, const jobs::JobSpec& spec) {
  return kind == jobs::StageKind::kAutoencoder ? spec.autoencoder.train : spec.train;
}

struct StageRecord {
  jobs::StageKind kind{};
  bool finished = false;
  uint64_t steps = 0;                              // that are in the weights
  jobs::JobSpec spec = {};                         // that is bound to the weights
  std::map<std::string, std::string> inputs = {};  // stage -> content digest
  storage::SampleHistory history = {};
  storage::WriterFence writer = {};  // of the weights
  uint64_t log_format = 0;           // as of AuditInput
  std::string missing = {};          // why nothing is recorded of the samples; "": it is
};

// From the stage's artifact, else from its newest committed checkpoint and the logs beside it.
// Reads files only, also of a stage that is being made, and waits for nobody. kNotFound: there are
// no weights yet. Other errors: as of artifacts and checkpoints.
absl::StatusOr<StageRecord> ReadStageRecord(Env& env, const storage::HomeLayout& home,
                                            const StageStatus& stage);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_AUDIT_STAGE_RECORD_H_
