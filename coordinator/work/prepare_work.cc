#include "coordinator/work/prepare_work.h"

#include "cluster/outputs.h"
#include "coordinator/work/continuation.h"
#include "coordinator/work/work_folders.h"
#include "storage/checkpoint_copy.h"

namespace halcyon::coordinator {
namespace {

// The record that is there, or a new one where none is or it is of no use.
absl::StatusOr<WorkRecord> EnsureRecord(const JobContext& context,
                                        const jobs::StageIdentity& identity,
                                        const std::string& work_dir) {
  auto found = ReadWorkRecord(*context.env, work_dir);
  if (found.ok() && found->identity.Fingerprint() == identity.Fingerprint()) return found;
  if (!found.ok() && !absl::IsNotFound(found.status()) && !absl::IsDataLoss(found.status())) {
    return found.status();
  }
  WorkRecord record;
  record.identity = identity;
  record.job_id = context.job.value();
  record.created_ms = context.clock->WallMs();
  RETURN_IF_ERROR(WriteWorkRecord(*context.env, work_dir, record));
  return record;
}

absl::Status Copy(const JobContext& context, const Donor& donor,
                  const cluster::StageAssignment& assignment) {
  Env& env = *context.env;
  storage::CheckpointStore from(env, cluster::CheckpointsDir(donor.work_dir));
  storage::CheckpointStore to(env, cluster::CheckpointsDir(assignment.work_dir));
  RETURN_IF_ERROR(to.Fence({assignment.claim, /*launch=*/0}));
  RETURN_IF_ERROR(storage::CopyCheckpoint(
      env, from, donor.step, to,
      {assignment.fingerprint, jobs::ToToml(context.spec), assignment.claim},
      static_cast<uint64_t>(context.spec.checkpoint.keep)));
  // The figures of the steps that are not made again; ranks drop the lines of later ones.
  const auto metrics = env.ReadFile(JoinPath(donor.work_dir, kMetricsFileName));
  if (absl::IsNotFound(metrics.status())) return absl::OkStatus();
  RETURN_IF_ERROR(metrics.status());
  return WriteFileAtomically(env, JoinPath(assignment.work_dir, kMetricsFileName), *metrics);
}

}  // namespace

absl::Status PrepareWork(const JobContext& context, const jobs::StageIdentity& identity,
                         const cluster::StageAssignment& assignment, Notes* notes) {
  Env& env = *context.env;
  const auto notify = [&](const std::string& text) {
    notes->push_back(assignment.stage + ": " + text);
  };
  RETURN_IF_ERROR(CreateSyncedDir(env, assignment.work_dir));
  ASSIGN_OR_RETURN(WorkRecord record, EnsureRecord(context, identity, assignment.work_dir));
  ASSIGN_OR_RETURN(const std::vector<WorkFolder> folders, ScanWork(env, context.home));
  const Continuation found = FindContinuation(identity, folders);
  for (const std::string& note : found.notes) notify(note);
  if (context.from_scratch) return absl::OkStatus();
  for (const Donor& donor : found.donors) {
    const absl::Status copied = Copy(context, donor, assignment);
    if (absl::IsDataLoss(copied)) {
      notify("the checkpoint of step " + std::to_string(donor.step) + " of " + donor.run +
             " is passed over: " + MessageOf(copied));
      continue;
    }
    RETURN_IF_ERROR(copied);
    notify(Describe(donor));
    record.continued_from = BaseName(donor.work_dir);
    record.continued_step = donor.step;
    return WriteWorkRecord(env, assignment.work_dir, record);
  }
  return absl::OkStatus();
}

}  // namespace halcyon::coordinator
