#include "worker/model_report.h"

#include "worker/continuations.h"
#include "worker/language_model_score.h"
#include "worker/reconstruction.h"

namespace halcyon::worker {

using nlohmann::json;

absl::StatusOr<json> MakeReport(Env& env, const ArtifactPaths& paths, const ReportOptions& options,
                                const std::function<void(double)>& on_progress) {
  ASSIGN_OR_RETURN(const std::string model_dir, PathOf(paths, "model"));
  ASSIGN_OR_RETURN(const std::string autoencoder_dir, PathOf(paths, "autoencoder"));
  ASSIGN_OR_RETURN(const OpenedModel opened, OpenModel(env, model_dir));
  if (opened.calm == nullptr) return FailedPrecondition(model_dir + ": no CALM model");
  ASSIGN_OR_RETURN(const auto autoencoder, OpenAutoencoder(env, autoencoder_dir));
  ASSIGN_OR_RETURN(const auto tokenizer, OpenTokenizer(paths));
  ASSIGN_OR_RETURN(const PackedTokens tokens,
                   OpenPackedTokens(paths, *tokenizer, opened.spec.autoencoder));
  ASSIGN_OR_RETURN(const auto latents, OpenLatents(paths, opened.latent_size));
  ASSIGN_OR_RETURN(const Windows windows,
                   OpenWindows(*tokens.packing, latents.get(), opened.calm->spec().window_chunks));
  cluster::SingleRank alone;
  ASSIGN_OR_RETURN(const Reconstruction reconstruction,
                   MeasureReconstruction(*autoencoder, *tokens.packing, {}, alone));
  on_progress(0.3);
  const LanguageModelOptions scoring{.windows = options.eval.final_windows,
                                     .samples = options.eval.samples,
                                     .bootstrap = options.eval.bootstrap,
                                     .seed = options.seed};
  ASSIGN_OR_RETURN(
      const LanguageModelScore score,
      ScoreLanguageModel(*opened.calm, *autoencoder, *windows.heldout, scoring, alone));
  on_progress(0.8);
  Generator generator(opened.calm.get(), autoencoder.get(), tokens.packing->rule());
  ASSIGN_OR_RETURN(const auto continuations,
                   MakeContinuations(generator, *tokens.packing, *tokenizer, options.eval,
                                     options.seed, /*stop_at_end=*/true));
  on_progress(1.0);
  return json{{"brier_lm", score.brier.brier_lm},
              {"brier_low", score.brier.low},
              {"brier_high", score.brier.high},
              {"brier", score.brier.brier},
              {"accuracy", score.brier.accuracy},
              {"collision", score.brier.collision},
              {"positions", score.brier.positions},
              {"documents", score.brier.documents},
              {"windows", score.windows},
              {"token_context", score.token_context},
              {"heldout_loss", score.loss},
              {"heldout_terms", score.terms},
              {"reconstruction", reconstruction.all.mean},
              {"reconstruction_tokens", reconstruction.all.tokens},
              {"continuations", ToJson(continuations)}};
}

}  // namespace halcyon::worker
