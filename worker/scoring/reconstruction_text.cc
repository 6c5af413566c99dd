#include <algorithm>
#include <numeric>
#include <string>

#include <fmt/format.h>

#include "worker/scoring/reconstruction.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

json AccuracyToJson(const Reconstruction::Accuracy& accuracy, bool variational) {
  json figures = {{"tokens", accuracy.tokens}, {"mean", accuracy.mean}, {"noisy", accuracy.noisy}};
  if (variational) figures["posterior"] = accuracy.posterior;
  return figures;
}

std::string Row(const std::string& name, const json& figures) {
  std::string row = fmt::format("  {:<12} {:>10}", name, figures["tokens"].get<uint64_t>());
  for (const char* source : {"mean", "noisy", "posterior"}) {
    if (!figures.contains(source)) continue;
    const bool any = figures["tokens"].get<uint64_t>() > 0;
    row += any ? fmt::format(" {:>10.3f} %", 100 * figures[source].get<double>())
               : fmt::format(" {:>12}", "-");
  }
  return row + "\n";
}

}  // namespace

json ToJson(const Reconstruction& reconstruction, const ReconstructionOptions& options,
            bool variational) {
  json report = AccuracyToJson(reconstruction.all, variational);
  report["chunks"] = reconstruction.chunks;
  report["noise_std"] = options.noise_std;
  report["latent_size"] = reconstruction.variance.size();
  report["active_dimensions"] = reconstruction.ActiveDimensions();
  report["variance"] = reconstruction.variance;
  if (variational) {
    report["kl"] = std::accumulate(reconstruction.kl.begin(), reconstruction.kl.end(), 0.0);
    report["kl_by_dimension"] = reconstruction.kl;
  }
  if (options.classes == nullptr) return report;
  json& classes = report["classes"];
  for (int c = 0; c < kTokenClasses; ++c) {
    classes[std::string(TokenClassName(static_cast<TokenClass>(c)))] =
        AccuracyToJson(reconstruction.by_class[c], variational);
  }
  classes["rare"] = AccuracyToJson(reconstruction.rare, variational);
  return report;
}

std::string ReconstructionText(const json& report) {
  const bool variational = report.contains("kl");
  std::string text =
      fmt::format("{:<14} {:>10} {:>12} {:>12}{}\n", "reconstruction", "tokens", "mean of z",
                  fmt::format("noise {}", report["noise_std"].get<double>()),
                  variational ? fmt::format(" {:>12}", "posterior") : "");
  text += Row("all", report);
  if (report.contains("classes")) {
    for (const auto& [name, figures] : report["classes"].items()) text += Row(name, figures);
  }
  text += fmt::format("{} of {} latent dimensions are active",
                      report["active_dimensions"].get<int64_t>(),
                      report["latent_size"].get<uint64_t>());
  if (!variational) return text + "\n";
  auto kl = report["kl_by_dimension"].get<std::vector<double>>();
  std::sort(kl.begin(), kl.end());
  return text +
         fmt::format("; KL {:.2f} nats a chunk, by dimension {:.3f} to {:.3f}, median {:.3f}\n",
                     report["kl"].get<double>(), kl.front(), kl.back(), kl[kl.size() / 2]);
}

}  // namespace halcyon::worker
