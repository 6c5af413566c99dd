#include "jobs/latents_choice.h"

#include <algorithm>

#include "jobs/estimate.h"
#include "jobs/flops.h"

namespace halcyon::jobs {
namespace {

// `all`: chunks of the text; `used`: chunks that training reads.
LatentsTimes TimesOf(const JobSpec& spec, const LatentsFacts& facts, double all, double used) {
  const LatentsRates& rates = *facts.rates;
  const auto ranks = static_cast<double>(spec.launch.ranks);
  const auto agents = static_cast<double>(facts.agents);
  const double encoders = rates.is_gpu ? std::min(agents, ranks) : agents;
  const auto chunk_bytes = static_cast<double>(LatentBytes(spec, 1));
  LatentsTimes times;
  times.training = static_cast<double>(spec.train.steps) *
                   StepFlops(spec, StageKind::kModel, facts.vocab_size) /
                   (ranks * rates.rank_flops);
  times.recompute = used / (ranks * rates.rank_chunks);
  const double making =
      std::max(all / (encoders * rates.agent_chunks), all * chunk_bytes / rates.write_bytes);
  // Windows are read ahead while the ranks compute.
  const double waiting = used * chunk_bytes / rates.read_bytes - times.training;
  times.store = making + std::max(0.0, waiting);
  return times;
}

}  // namespace

uint64_t LatentChunks(const JobSpec& spec, uint64_t text_bytes) {
  const double tokens = static_cast<double>(text_bytes) / kTextBytesOfToken;
  return static_cast<uint64_t>(
      std::max(1.0, tokens / static_cast<double>(spec.autoencoder.chunk_size)));
}

LatentsChoice ChooseLatents(const JobSpec& spec, const LatentsFacts& facts) {
  const uint64_t chunks = LatentChunks(spec, facts.text_bytes);
  const auto all = static_cast<double>(chunks);
  const auto of_step = static_cast<double>(spec.train.batch * spec.model.window_chunks);
  const double used = static_cast<double>(spec.train.steps) * of_step;
  LatentsChoice choice;
  choice.stored_bytes = LatentBytes(spec, chunks);
  choice.has_room = static_cast<double>(choice.stored_bytes) <=
                    kLatentsDiskShareMax * static_cast<double>(facts.free_bytes);
  choice.used_share = used / all;
  choice.encoding_share = of_step * EncodingFlops(spec.autoencoder, /*token_states_kept=*/true) /
                          StepFlops(spec, StageKind::kModel, facts.vocab_size);
  if (facts.rates) choice.times = TimesOf(spec, facts, all, used);
  const bool is_slower = choice.times ? choice.times->recompute < choice.times->store
                                      : choice.used_share < kLatentsUsedShareMin;
  if (!choice.has_room || is_slower) choice.rule = LatentsRule::kRecompute;
  return choice;
}

}  // namespace halcyon::jobs
