#include "coordinator/display/quality.h"

#include <fmt/format.h>

#include <optional>

namespace halcyon::coordinator {
namespace {

using nlohmann::json;

std::optional<double> NumberOf(const json& facts, const char* name) {
  const auto it = facts.find(name);
  if (it == facts.end() || !it->is_number()) return std::nullopt;
  return it->get<double>();
}

std::string AutoencoderWarning(const json& facts) {
  constexpr double kReconstructionMin = 0.95;
  const auto reconstruction = NumberOf(facts, "heldout_reconstruction");
  if (!reconstruction || *reconstruction >= kReconstructionMin) return "";
  return fmt::format(
      "the autoencoder gives back {:.2f} % of held-out tokens, and should give back {:.0f} % or "
      "more: the language model predicts its latents, so its text and its BrierLM can be no "
      "better. "
      "Train it longer ([autoencoder.train] steps), enlarge it ([autoencoder] hidden_size, "
      "latent_size) or use a smaller vocabulary ([tokenizer] vocab_size); where its loss hardly "
      "falls, use [autoencoder] init = \"fan_in\" or another learning_rate",
      100 * *reconstruction, 100 * kReconstructionMin);
}

// "Brier-3 = -0.00001, Brier-4 = 0": those that make the product 0.
std::string VanishingOrders(const json& facts) {
  std::string orders;
  const json list = facts.value("brier", json::array());
  for (size_t i = 0; list.is_array() && i < list.size(); ++i) {
    if (!list[i].is_number() || list[i].get<double>() > 0) continue;
    orders += fmt::format("{}Brier-{} = {:.2g}", orders.empty() ? "" : ", ", i + 1,
                          list[i].get<double>());
  }
  return orders.empty() ? "" : " (" + orders + ")";
}

std::string EvalWarning(const json& facts) {
  const auto brier = NumberOf(facts, "brier_lm");
  if (!brier || *brier > 0) return "";
  return fmt::format(
      "BrierLM is 0: for n-grams of some length the model's samples equal the held-out text no "
      "more "
      "often than they equal each other{}, and one such factor makes the whole score 0, whatever "
      "the "
      "loss is. Look at the reconstruction first; then train longer ([train] steps), evaluate on "
      "more text ([eval] final_windows, [data] heldout), or use a smaller vocabulary ([tokenizer] "
      "vocab_size); where the score stays 0, use [model] init = \"fan_in\" or another "
      "learning_rate",
      VanishingOrders(facts));
}

}  // namespace

std::string QualityWarning(jobs::StageKind kind, const json& facts) {
  if (!facts.is_object()) return "";
  if (kind == jobs::StageKind::kAutoencoder) return AutoencoderWarning(facts);
  if (kind == jobs::StageKind::kEval) return EvalWarning(facts);
  return "";
}

}  // namespace halcyon::coordinator
