#include "jobs/presets.h"

namespace halcyon::jobs {
namespace {

// The schedule of the paper's networks, whose widths do not train at larger rates.
void ApplyPaperSchedule(TrainSpec& train) {
  train.steps = 1000;
  train.learning_rate = 3e-4;
  train.warmup_steps = 100;
  train.decay = LearningRateDecay::kConstant;
}

void ApplyPreset(AutoencoderSpec& autoencoder) {
  if (autoencoder.preset == AutoencoderPreset::kNone) return;
  const bool plain = autoencoder.preset == AutoencoderPreset::kPlain10;
  autoencoder.latent_size = plain ? 10 : 128;
  autoencoder.variational = !plain;
  autoencoder.token_dropout = autoencoder.latent_dropout = plain ? 0 : 0.15;
  autoencoder.kl_weight = plain ? 0 : 0.001;
  autoencoder.kl_clamp = plain ? 0 : 0.5;
  if (autoencoder.preset != AutoencoderPreset::kCalm) return;
  autoencoder.hidden_size = 512;
  autoencoder.intermediate_size = 1280;
  ApplyPaperSchedule(autoencoder.train);
}

void ApplyPreset(ModelSpec& model, TrainSpec& train) {
  if (model.preset == ModelPreset::kNone) return;
  const bool medium = model.preset == ModelPreset::kCalmM;
  model.hidden_size = medium ? 1024 : 768;
  model.intermediate_size = medium ? 2752 : 2048;
  model.layers = medium ? 16 : 12;
  model.attention_heads = 16;
  model.head_layers = model.layers / 4;
  model.window_chunks = 2048;
  ApplyPaperSchedule(train);
}

}  // namespace

void ApplyPresets(JobSpec& spec) {
  ApplyPreset(spec.autoencoder);
  ApplyPreset(spec.model, spec.train);
}

AutoencoderSpec PaperAutoencoder() {
  AutoencoderSpec autoencoder;
  autoencoder.preset = AutoencoderPreset::kCalm;
  ApplyPreset(autoencoder);
  autoencoder.preset = AutoencoderPreset::kNone;
  autoencoder.init = InitRule::kNormal;
  autoencoder.init_std = kPaperInitStd;
  return autoencoder;
}

}  // namespace halcyon::jobs
