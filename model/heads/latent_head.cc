#include "model/heads/latent_head.h"

#include <fmt/format.h>

#include "base/check.h"
#include "model/heads/diffusion_head.h"
#include "model/heads/energy_head.h"
#include "model/heads/flow_head.h"

namespace halcyon::model {

absl::Status LatentHead::CheckDraws(int64_t draws, int64_t positions) const {
  const double wanted = static_cast<double>(draws) * static_cast<double>(positions) *
                        static_cast<double>(NumbersPerDraw());
  if (wanted <= static_cast<double>(kDrawNumbersMax)) return absl::OkStatus();
  return InvalidArgument(fmt::format(
      "{} draws at {} positions with {} numbers each need more than the {} random numbers of a "
      "text; ask for fewer draws",
      draws, positions, NumbersPerDraw(), kDrawNumbersMax));
}

std::unique_ptr<LatentHead> MakeLatentHead(Unit& unit, const jobs::ModelSpec& spec,
                                           int64_t latent_size) {
  switch (spec.head) {
    case jobs::HeadKind::kEnergy:
      return std::make_unique<EnergyHead>(unit, spec, latent_size);
    case jobs::HeadKind::kFlow:
      return std::make_unique<FlowHead>(unit, spec, latent_size);
    case jobs::HeadKind::kDiffusion:
      return std::make_unique<DiffusionHead>(unit, spec, latent_size);
    case jobs::HeadKind::kSoftmax:
      break;
  }
  HALCYON_CHECK(false && "a softmax predicts tokens, not latents");
}

}  // namespace halcyon::model
