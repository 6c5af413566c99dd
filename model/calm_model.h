// Stage two of CALM: a Transformer over chunks that predicts the next chunk's latent through a
// generative head (paper section 3).
#ifndef HALCYON_MODEL_CALM_MODEL_H_
#define HALCYON_MODEL_CALM_MODEL_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "jobs/job_spec.h"
#include "model/backbone.h"
#include "model/heads/latent_head.h"
#include "model/unit.h"

namespace halcyon::model {

class CalmModel {
 public:
  // Registers parameters; gives them no storage. chunk_size K, latent size l, vocabulary V.
  // REQUIRES: spec.head is not softmax.
  CalmModel(const jobs::ModelSpec& spec, int64_t chunk_size, int64_t latent_size,
            int64_t vocab_size);
  ~CalmModel();

  // "input" (token table and projection), "block.0" ..., "head" (final norm and head).
  std::vector<Unit*> units();
  const jobs::ModelSpec& spec() const { return spec_; }
  int64_t latent_size() const { return latent_size_; }
  int64_t chunk_size() const { return chunk_size_; }
  // Whether the backbone needs the chunks' latents, as Inputs() does.
  bool SeesLatents() const { return spec_.input != jobs::InputKind::kDiscrete; }

  // What the backbone's blocks are given (paper section 3.1 and table 5).
  // tokens: int64 [batch, chunks, K]; latents: [batch, chunks, latent], the posterior's means,
  // undefined with input = discrete -> [batch, chunks, hidden].
  at::Tensor Inputs(const at::Tensor& tokens, const at::Tensor& latents);

  // Inputs, then the blocks: [batch, chunks, hidden], before the final norm. Position t has seen
  // chunks 0 ... t and is to predict chunk t + 1. With a cache, the chunks follow those in it.
  at::Tensor Backbone(const at::Tensor& tokens, const at::Tensor& latents,
                      const Placement* placement = nullptr, BackboneCache* cache = nullptr);

  // hidden: [batch, chunks, hidden] from Backbone, one row of noise for each of the batch.
  // next: [batch * chunks, latent].
  LatentHead::Loss HeadLoss(const at::Tensor& hidden, const Posterior& next,
                            const NoiseRows& noise);
  // -> [count, batch, chunks, latent]; see LatentHead.
  at::Tensor Sample(const at::Tensor& hidden, int64_t first, int64_t count, const NoiseRows& noise);

  // For probes: the final norm of `hidden` (any shape [..., hidden]), which is what the
  // head is given, and the head. Only for materialised networks.
  at::Tensor FinalNorm(const at::Tensor& hidden);
  const LatentHead& head() const;

 private:
  struct Network;
  jobs::ModelSpec spec_;
  int64_t chunk_size_, latent_size_, vocab_size_;
  std::unique_ptr<Network> network_;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_CALM_MODEL_H_
