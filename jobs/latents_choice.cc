#include "jobs/latents_choice.h"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/estimate.h"
#include "jobs/flops.h"

namespace halcyon::jobs {

LatentsChoice ChooseLatents(const JobSpec& spec, uint64_t text_bytes, uint64_t free_bytes,
                            int64_t vocab_size) {
  const double tokens = static_cast<double>(text_bytes) / kTextBytesOfToken;
  const double chunks = std::max(1.0, tokens / static_cast<double>(spec.autoencoder.chunk_size));
  const uint64_t stored = LatentBytes(spec, static_cast<uint64_t>(chunks));
  const auto of_step = static_cast<double>(spec.train.batch * spec.model.window_chunks);
  const double used = static_cast<double>(spec.train.steps) * of_step;
  const double encoding = 100 * of_step *
                          EncodingFlops(spec.autoencoder, /*token_states_kept=*/true) /
                          StepFlops(spec, StageKind::kModel, vocab_size);
  const std::string would_take = fmt::format("stored they would take about {}, {} are free",
                                             BytesText(stored), BytesText(free_bytes));
  const std::string adds =
      fmt::format("recomputing adds {:.1f} % to the arithmetic of training", encoding);
  if (static_cast<double>(stored) > kLatentsDiskShareMax * static_cast<double>(free_bytes)) {
    return {LatentsRule::kRecompute, would_take + "; " + adds};
  }
  if (used < kLatentsUsedShareMin * chunks) {
    return {LatentsRule::kRecompute, fmt::format("training reads about {:.0f} % of the text; {}",
                                                 100 * used / chunks, adds)};
  }
  return {LatentsRule::kStore, would_take + "; " + adds};
}

}  // namespace halcyon::jobs
