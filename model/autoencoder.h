// Stage one of CALM: K tokens <-> one latent (paper section 2; sizes in section 4.1).
#ifndef HALCYON_MODEL_AUTOENCODER_H_
#define HALCYON_MODEL_AUTOENCODER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "jobs/job_spec.h"
#include "model/posterior.h"
#include "model/unit.h"

namespace halcyon::model {

class Autoencoder {
 public:
  // Registers parameters; gives them no storage.
  Autoencoder(const jobs::AutoencoderSpec& spec, int64_t vocab_size);
  ~Autoencoder();

  // One unit: the table is used at both ends.
  std::vector<Unit*> units();
  const jobs::AutoencoderSpec& spec() const { return spec_; }
  int64_t vocab_size() const { return vocab_size_; }

  // tokens: int64 [chunks, K]. Evaluation mode: no dropout. An autoencoder that is not variational
  // has the least log_std there is.
  Posterior Encode(const at::Tensor& tokens);
  // The same with log_std as the network gives it, not clamped: for checking a conversion.
  Posterior EncodeUnclamped(const at::Tensor& tokens);
  // From then on the two above compute with the encoder's parameters rounded to this precision and
  // make their products in it (docs/precision.md); decoding stays as it was. Without gradients of
  // the encoder, and only for weights that do not change any more. Before KeepTokenStates.
  void EncodeIn(jobs::Precision precision);
  // The encoder's first layers see one token each. Computes what they make of every token of the
  // vocabulary, [vocab, hidden] on the network's device, in the type of the next layer's product,
  // which would round it to that; from then on the two above look it up, with the same result up
  // to rounding. Only for weights that do not change any more.
  void KeepTokenStates();
  // latents: [chunks, latent] -> logits [chunks, K, vocab].
  at::Tensor Decode(const at::Tensor& latents);
  // argmax of Decode: int64 [chunks, K], without ever holding the logits (model/argmax.h).
  at::Tensor DecodeTokens(const at::Tensor& latents);
  // The same in two steps, for those who need only some of the tokens. [chunks, latent] -> [chunks,
  // hidden]: what the decoder makes of a chunk as a whole.
  at::Tensor DecodeStates(const at::Tensor& latents);
  // Tokens first ... first + count - 1 of each of those chunks: int64 [chunks, count].
  at::Tensor DecodeTokensOf(const at::Tensor& states, int64_t first, int64_t count);

  // Random numbers of one training pass, all [chunks, ...] (model/noise.h).
  struct Noise {
    at::Tensor token_dropout;   // uniform [chunks, K]: below p, the token is dropped
    at::Tensor posterior;       // normal [chunks, latent]; unused when not variational
    at::Tensor latent_dropout;  // uniform [chunks, latent]: below p, zero; others scaled 1/(1-p)
  };
  struct Loss {
    at::Tensor total;          // K * mean cross-entropy + kl_weight * KL, weighted mean over chunks
    at::Tensor cross_entropy;  // mean over tokens, detached
    at::Tensor kl;  // clamped, summed over the latent, mean over chunks, detached; 0 when plain
    at::Tensor correct;  // fraction of tokens whose argmax is right (of the noisy latent)
  };
  // All on the network's device. `weights`: float32 [chunks]; each loss is sum(weights * value) /
  // divisor, so that ranks and micro-batches add up to the mean of the global batch.
  Loss TrainingLoss(const at::Tensor& tokens, const Noise& noise, const at::Tensor& weights,
                    double divisor);

 private:
  struct Network;
  Network& encoder() { return rounded_ != nullptr ? *rounded_ : *network_; }
  // What the encoder's first layers make of the tokens: [tokens, hidden].
  at::Tensor EncodeTokens(const at::Tensor& ids);

  jobs::AutoencoderSpec spec_;
  int64_t vocab_size_;
  std::unique_ptr<Network> network_;
  // The encoder's layers in bfloat16, with no values for the others; null for float32.
  std::unique_ptr<Network> rounded_;
  at::Tensor token_states_;  // EncodeTokens of the whole vocabulary, once KeepTokenStates made it
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_AUTOENCODER_H_
