// Whether the record of a stage's samples says that each was used exactly as often as it should be:
// what every step in the weights should have used is a pure function of the settings, and is
// compared with the digests that the ranks recorded. Pure.
#ifndef HALCYON_COORDINATOR_AUDIT_AUDIT_H_
#define HALCYON_COORDINATOR_AUDIT_AUDIT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "pipeline/samples/mixture_order.h"
#include "storage/sample_log.h"

namespace halcyon::coordinator {

// Of the chunks of an item, as pipeline::SampleDigest takes them.
struct ItemLatents {
  std::string means, log_stds;
};

struct AuditInput {
  const pipeline::MixtureOrder* order = nullptr;
  uint64_t batch = 1;  // samples a step
  uint64_t steps = 0;  // in the weights
  const storage::SampleHistory* history = nullptr;
  storage::WriterFence writer;  // of the weights
  // An item's token ids, as SampleDigest takes them; without it the text is not compared.
  std::function<absl::StatusOr<std::string>(uint64_t item)> ids_of = {};
  // Without it, or without `ids_of`, the latents are not.
  std::function<absl::StatusOr<ItemLatents>(uint64_t item)> latents_of = {};
  uint64_t log_format = 0;  // CheckpointManifest::sample_log_format of the weights; 0: none
};

// Steps first ... last of a launch.
struct LaunchSteps {
  storage::WriterFence writer;
  uint32_t ranks = 0;
  uint64_t first = 0, last = 0;
};

// How often the items of a source were used.
struct SourceUse {
  std::string name;
  uint64_t samples = 0, items = 0;
  uint64_t least = 0, most = 0;  // uses of an item
};

struct AuditFault {
  uint64_t step = 0;
  std::string what;  // "step 71: expected ..., the record of claim 3, launch 2 says ..."
};

enum class AuditVerdict {
  kHolds,
  kUnrecorded,  // nothing is wrong, but of the first steps there is no record
  kFails,
};

struct AuditReport {
  AuditVerdict verdict = AuditVerdict::kHolds;
  uint64_t first = 0, last = 0;       // the steps that were looked at
  uint64_t unrecorded = 0;            // of all steps, 1 ... unrecorded have no record
  uint64_t samples = 0;               // of the steps that are as they should be
  uint64_t with_latents = 0;          // of these, those whose latents were compared, too
  std::vector<SourceUse> sources;     // likewise; empty unless all steps were looked at
  std::vector<LaunchSteps> launches;  // whose steps are in the weights, in their order
  std::vector<LaunchSteps> redone;    // steps that are in the weights as a later launch made them
  std::vector<AuditFault> faults;     // the first kAuditFaultsMax
  uint64_t fault_count = 0;
};
inline constexpr size_t kAuditFaultsMax = 10;

// Of steps first ... last; 1 is the first step. Memory: 4 bytes for each item of the order, when it
// is of all steps. Errors: of `ids_of` and `latents_of`. REQUIRES: 1 <= first, last <= input.steps.
absl::StatusOr<AuditReport> Audit(const AuditInput& input, uint64_t first, uint64_t last);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_AUDIT_AUDIT_H_
