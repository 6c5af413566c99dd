// The draws of one step for a batch of texts, made and decoded only as far as the algorithms need
// them. What all texts need goes through the networks together.
#ifndef HALCYON_WORKER_GENERATION_LATENT_DRAWS_H_
#define HALCYON_WORKER_GENERATION_LATENT_DRAWS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/autoencoder.h"
#include "model/calm_model.h"
#include "model/sampling/draws.h"
#include "worker/generation/step_sampler.h"

namespace halcyon::worker {

// Of a text, latents are drawn as number 0, 1, ... of its noise. With a prefix, only those that
// decode to chunks which begin with it are draws for the algorithms (candidates); without one, all
// are. Equal latents are decoded once. Owns neither network.
class LatentDraws {
 public:
  // hidden: [texts, width], the last step of each; `noise` has a row for each; `made_max`: latents
  // of a text at most.
  LatentDraws(model::CalmModel* model, model::Autoencoder* autoencoder, const at::Tensor& hidden,
              const model::NoiseRows& noise, std::span<const Tokens> prefixes, int64_t made_max);

  const model::Draws& candidates(int64_t text) const { return texts_[text].candidates; }
  int64_t made(int64_t text) const { return texts_[text].made; }
  bool no_more(int64_t text) const { return texts_[text].made >= made_max_; }

  // Satisfies the needs, one for each text, as far as latents may be drawn.
  void Provide(std::span<const model::Needs> needs);
  // The first latent's chunk, prefix or not.
  Tokens DecodeFirst(int64_t text);

 private:
  struct Text {
    explicit Text(int64_t chunk_size) : candidates(chunk_size) {}
    Tokens prefix;
    model::Draws candidates;
    std::vector<int64_t> row_of_candidate;  // in latents_
    int64_t first_row = -1;                 // of its first latent
    int64_t made = 0;
    std::map<std::string, int64_t> candidate_of_latent;  // by the latent's bytes
  };

  // Draws some of the missing draws; false when none is missing, or no more may be drawn.
  bool ProvideDraws(std::span<const model::Needs> needs);
  void ProvideTokens(std::span<const model::Needs> needs);
  // Draws latents made ... until - 1 of texts that have made as many; returns their first row.
  void DrawLatents(const std::vector<int64_t>& texts, int64_t until);
  void AddCandidates(const std::vector<int64_t>& texts, int64_t first_row, int64_t count);
  // Tokens first ... first + count - 1 of rows of latents_: [rows, count].
  at::Tensor Decode(const std::vector<int64_t>& rows, int64_t first, int64_t count);

  model::CalmModel* model_;
  model::Autoencoder* autoencoder_;
  at::Tensor hidden_;
  model::NoiseRows noise_;
  int64_t made_max_;
  std::vector<Text> texts_;
  at::Tensor latents_;                 // [rows, latent], of all texts
  std::vector<int64_t> state_of_row_;  // in states_; -1: not decoded so far
  at::Tensor states_;                  // [states, hidden] of the autoencoder
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_GENERATION_LATENT_DRAWS_H_
