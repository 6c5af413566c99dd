#include "worker/scoring/model_report.h"

#include <cmath>
#include <memory>

#include "pipeline/samples/source_windows.h"
#include "worker/generation/continuations.h"
#include "worker/generation/make_sampler.h"
#include "worker/inputs/network_file.h"
#include "worker/scoring/language_model_score.h"
#include "worker/scoring/reconstruction.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

// What the paths lead to.
struct ReportInputs {
  std::shared_ptr<const pipeline::Tokenizer> tokenizer;
  std::unique_ptr<model::Autoencoder> autoencoder;  // may be null
  OpenedModel opened;                               // may hold neither network
  PackedTokens tokens;

  bool HasModel() const { return opened.calm != nullptr || opened.baseline != nullptr; }
};

absl::StatusOr<ReportInputs> Open(Env& env, const ArtifactInputs& artifacts, c10::Device device) {
  ReportInputs inputs;
  jobs::AutoencoderSpec packing;
  ASSIGN_OR_RETURN(inputs.tokenizer, OpenTokenizer(artifacts));
  const auto check_vocabulary = [&](int64_t vocab_size, const std::string& dir) -> absl::Status {
    if (vocab_size == inputs.tokenizer->vocab_size()) return absl::OkStatus();
    return InvalidArgument(dir + ": has a vocabulary of " + std::to_string(vocab_size) +
                           " tokens, the tokenizer " +
                           std::to_string(inputs.tokenizer->vocab_size()) +
                           "; name the tokenizer it was trained with");
  };
  if (artifacts.contains("autoencoder")) {
    ASSIGN_OR_RETURN(const std::string dir, PathOf(artifacts, "autoencoder"));
    ASSIGN_OR_RETURN(inputs.autoencoder, OpenAutoencoder(env, artifacts, device));
    RETURN_IF_ERROR(check_vocabulary(inputs.autoencoder->vocab_size(), dir));
    packing = inputs.autoencoder->spec();
  }
  if (artifacts.contains("model")) {
    ASSIGN_OR_RETURN(const std::string dir, PathOf(artifacts, "model"));
    ASSIGN_OR_RETURN(inputs.opened, OpenModel(env, artifacts, device));
    RETURN_IF_ERROR(check_vocabulary(inputs.opened.vocab_size, dir));
    packing = inputs.opened.spec.autoencoder;
    if (inputs.opened.calm != nullptr && inputs.autoencoder == nullptr) {
      return InvalidArgument(dir +
                             ": is a CALM model, which is scored with the autoencoder it was " +
                             "trained with; give that, too");
    }
    if (inputs.opened.baseline != nullptr && inputs.autoencoder != nullptr &&
        inputs.autoencoder->spec().chunk_size != packing.chunk_size) {
      return InvalidArgument(dir +
                             ": was trained on windows of chunks of another size than those "
                             "of " +
                             artifacts.paths.at("autoencoder") + "; evaluate one at a time");
    }
    if (inputs.opened.calm != nullptr) {
      RETURN_IF_ERROR(CheckBelongTogether(inputs.opened, dir, *inputs.autoencoder,
                                          artifacts.paths.at("autoencoder")));
      inputs.autoencoder->EncodeIn(inputs.opened.spec.data.encoding_precision);
    }
  }
  if (inputs.autoencoder == nullptr && !inputs.HasModel()) {
    return InvalidArgument("nothing to evaluate: give an autoencoder, a model or both");
  }
  ASSIGN_OR_RETURN(inputs.tokens, OpenPackedTokens(artifacts, *inputs.tokenizer, packing));
  return inputs;
}

absl::Status ReportAutoencoder(ReportInputs& inputs, const ReportOptions& options, json* report) {
  ASSIGN_OR_RETURN(const auto counts,
                   CountTokens(*inputs.tokens.packing, inputs.tokenizer->vocab_size()));
  const TokenClasses classes(*inputs.tokenizer, counts);
  const ReconstructionOptions measuring{
      .noise_std = options.noise_std, .seed = options.seed, .classes = &classes};
  cluster::SingleRank alone;
  ASSIGN_OR_RETURN(
      const Reconstruction reconstruction,
      MeasureReconstruction(*inputs.autoencoder, *inputs.tokens.packing, measuring, alone));
  (*report)["autoencoder"] =
      ToJson(reconstruction, measuring, inputs.autoencoder->spec().variational);
  (*report)["reconstruction"] = reconstruction.all.mean;
  (*report)["reconstruction_tokens"] = reconstruction.all.tokens;
  return absl::OkStatus();
}

using Score = std::function<absl::StatusOr<LanguageModelScore>(const LanguageModelOptions&)>;

// Each part of the held-out text by itself.
absl::Status ReportParts(const std::vector<pipeline::HeldoutWindows>& parts,
                         LanguageModelOptions scoring, const Score& score_of, json* report) {
  if (parts.empty()) return absl::OkStatus();
  json list = json::array();
  for (const pipeline::HeldoutWindows& part : parts) {
    json& one = list.emplace_back(json{{"name", part.name}, {"windows", 0}});
    if (part.count == 0) continue;
    scoring.range = WindowRange{part.begin, part.count};
    ASSIGN_OR_RETURN(const LanguageModelScore score, score_of(scoring), part.name);
    one.update({{"windows", score.windows},
                {"brier_lm", score.brier.brier_lm},
                {"brier_low", score.brier.low},
                {"brier_high", score.brier.high},
                {"heldout_loss", score.loss},
                {"heldout_terms", score.terms}});
  }
  (*report)["heldout_parts"] = std::move(list);
  return absl::OkStatus();
}

absl::Status ReportModel(ReportInputs& inputs, const ArtifactInputs& artifacts,
                         const ReportOptions& options, json* report) {
  OpenedModel& opened = inputs.opened;
  const LanguageModelOptions scoring{.windows = options.eval.final_windows,
                                     .samples = options.eval.samples,
                                     .bootstrap = options.eval.bootstrap,
                                     .seed = options.seed,
                                     .protocol = options.protocol,
                                     .latent_format = opened.spec.data.latent_format};
  const bool two = options.protocol == model::BrierProtocol::kTwoSamples;
  std::unique_ptr<storage::LatentReader> latents;
  if (opened.calm != nullptr) {
    if (artifacts.contains("latents")) {
      ASSIGN_OR_RETURN(latents, OpenLatents(artifacts, opened.latent_size));
    }
    (*report)["samples"] = two ? 2 : scoring.samples;
  }
  ASSIGN_OR_RETURN(const Windows windows, OpenWindows(*inputs.tokens.packing, latents.get(),
                                                      opened.spec.model.window_chunks));
  (*report)["head"] = HeadName(opened.spec.model.head);
  if (const std::string why = WhyNoScore(*windows.heldout); !why.empty() && !options.must_score) {
    (*report)["no_score"] = why;
    return absl::OkStatus();
  }
  const auto score_of = [&](const LanguageModelOptions& how) {
    cluster::SingleRank alone;
    return opened.calm != nullptr
               ? ScoreLanguageModel(*opened.calm, *inputs.autoencoder, *windows.heldout, how, alone)
               : ScoreBaseline(*opened.baseline, *windows.heldout, how, alone);
  };
  ASSIGN_OR_RETURN(const LanguageModelScore score, score_of(scoring));
  report->update({{"protocol", two ? "two-samples" : "pairwise"},
                  {"brier_lm", score.brier.brier_lm},
                  {"brier_low", score.brier.low},
                  {"brier_high", score.brier.high},
                  {"brier", score.brier.brier},
                  {"brier_counted", score.brier.counted},
                  {"accuracy", score.brier.accuracy},
                  {"collision", score.brier.collision},
                  {"positions", score.brier.positions},
                  {"documents", score.brier.documents},
                  {"windows", score.windows},
                  {"token_context", score.token_context},
                  {"chunk_size", inputs.tokens.packing->rule().chunk_size},
                  {"heldout_loss", score.loss},
                  {"heldout_terms", score.terms}});
  if (two) (*report)["brier_reference"] = score.brier.brier_lm / 100;
  if (opened.baseline != nullptr) {
    (*report)["perplexity"] = std::exp(score.terms.at("cross_entropy"));
  }
  return ReportParts(
      pipeline::HeldoutWindowsOf(options.data == nullptr ? opened.spec.data : *options.data,
                                 inputs.tokens.files, *inputs.tokens.packing,
                                 windows.heldout->window_chunks()),
      scoring, score_of, report);
}

}  // namespace

absl::StatusOr<json> MakeReport(Env& env, const ArtifactInputs& artifacts,
                                const ReportOptions& options,
                                const std::function<void(double)>& on_progress) {
  ASSIGN_OR_RETURN(ReportInputs inputs, Open(env, artifacts, options.device));
  json report;
  const bool has_heldout = inputs.tokens.packing->Chunks(pipeline::Split::kHeldout) > 0;
  if (!has_heldout && options.must_score) {
    return InvalidArgument("no text is held out, so there is nothing to evaluate on");
  }
  if (inputs.autoencoder != nullptr && has_heldout) {
    RETURN_IF_ERROR(ReportAutoencoder(inputs, options, &report));
  }
  on_progress(0.3);
  if (inputs.HasModel()) RETURN_IF_ERROR(ReportModel(inputs, artifacts, options, &report));
  on_progress(0.8);
  if (inputs.HasModel()) {
    const auto sampler = MakeSampler(inputs.opened, inputs.autoencoder.get());
    Generator generator(sampler.get(), inputs.tokens.packing->rule());
    ASSIGN_OR_RETURN(const auto continuations,
                     MakeContinuations(generator, *inputs.tokens.packing, *inputs.tokenizer,
                                       options.eval, options.seed, /*in_step=*/false));
    report["continuations"] = ToJson(continuations);
  }
  on_progress(1.0);
  return report;
}

}  // namespace halcyon::worker
