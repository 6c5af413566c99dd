// `halcyon cache verify-latents`: `halcyon` finds the artifacts and executes this.
#ifndef HALCYON_WORKER_COMMANDS_VERIFY_LATENTS_COMMAND_H_
#define HALCYON_WORKER_COMMANDS_VERIFY_LATENTS_COMMAND_H_

#include <cstdint>
#include <string>

#include "base/status.h"
#include "worker/inputs/artifacts.h"

namespace halcyon::worker {

// Another device or another arithmetic rounds otherwise: a stored value v may differ by so much of
// max(1, |v|). Half floats near 1 are 2^-10 apart, numbers of bfloat16 2^-7; products of bfloat16
// are rounded to it, one after another.
constexpr double LatentToleranceMax(jobs::LatentFormat format, jobs::Precision precision) {
  if (precision == jobs::Precision::kBFloat16) return 1.0 / 8;
  return format == jobs::LatentFormat::kBFloat16 ? 1.0 / 32 : 1.0 / 256;
}

struct VerifyLatentsCommand {
  ArtifactInputs inputs;  // tokenizer, tokens, autoencoder, latents
  int64_t batches =
      16;  // of worker/inputs/latent_batches.h, chosen at random; all when there are fewer
  uint64_t seed = 1;
  std::string device = "auto";  // or cpu, cuda
  bool json = false;
};

// Encodes batches of the text again, in the precision that the artifact's record says (float32
// where it has none), and compares with what is stored. Prints how many values
// differ, and by how much at most. kDataLoss names the first chunk that differs by more than
// LatentToleranceMax.
absl::Status RunVerifyLatents(const VerifyLatentsCommand& command);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_COMMANDS_VERIFY_LATENTS_COMMAND_H_
