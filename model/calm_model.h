// Stage two of CALM: a Transformer over chunks that predicts the next latent through an energy head
// (paper section 3).
#ifndef HALCYON_MODEL_CALM_MODEL_H_
#define HALCYON_MODEL_CALM_MODEL_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "jobs/job_spec.h"
#include "model/unit.h"

namespace halcyon::model {

class CalmModel {
 public:
  // Registers parameters; gives them no storage. chunk_size K, latent size l, vocabulary V.
  CalmModel(const jobs::ModelSpec& spec, int64_t chunk_size, int64_t latent_size,
            int64_t vocab_size);
  ~CalmModel();

  // "input" (token table and projection), "block.0" ..., "head" (final norm and energy head).
  std::vector<Unit*> units();
  const jobs::ModelSpec& spec() const { return spec_; }
  int64_t latent_size() const { return latent_size_; }

  // tokens: int64 [batch, chunks, K] -> [batch, chunks, hidden], before the final norm: position t
  // has seen chunks 0 ... t and is to predict chunk t + 1.
  at::Tensor Backbone(const at::Tensor& tokens);

  // hidden: [batch, chunks, hidden] from Backbone; noise: uniform on [-0.5, 0.5),
  // [samples, batch, chunks, noise_size]. -> [samples, batch, chunks, latent].
  // The condition's share of each block is computed once for all samples.
  at::Tensor Sample(const at::Tensor& hidden, const at::Tensor& noise);

 private:
  struct Network;
  jobs::ModelSpec spec_;
  int64_t chunk_size_, latent_size_, vocab_size_;
  std::unique_ptr<Network> network_;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_CALM_MODEL_H_
