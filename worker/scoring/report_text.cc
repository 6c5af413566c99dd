#include <fmt/format.h>

#include "worker/scoring/model_report.h"
#include "worker/scoring/reconstruction.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

// The parts of the held-out text, a line each.
std::string PartsText(const json& report) {
  const auto parts = report.find("heldout_parts");
  if (parts == report.end()) return "";
  std::string text = fmt::format("  {:<24} {:>8} {:>10} {:>21} {:>14}\n", "held-out text of",
                                 "windows", "BrierLM", "95 % interval", "held-out loss");
  for (const json& part : *parts) {
    const auto number = [&](const char* name) { return part.at(name).get<double>(); };
    const auto windows = part.at("windows").get<uint64_t>();
    text += fmt::format("  {:<24} {:>8}", part.at("name").get<std::string>(), windows);
    text += windows == 0
                ? " fills no window\n"
                : fmt::format(" {:>10.3f} {:>9.3f} to {:>8.3f} {:>14.4f}\n", number("brier_lm"),
                              number("brier_low"), number("brier_high"), number("heldout_loss"));
  }
  return text;
}

std::string ModelText(const json& report) {
  const auto number = [&](const char* name) { return report[name].get<double>(); };
  const auto count = [&](const char* name) { return report[name].get<uint64_t>(); };
  std::string text = fmt::format(
      "BrierLM {:.3f} (95 % interval {:.3f} to {:.3f}) at a context of {} tokens\n",
      number("brier_lm"), number("brier_low"), number("brier_high"), count("token_context"));
  if (report.contains("brier_reference")) {
    text += fmt::format("without the factor of 100: {:.5f}\n", number("brier_reference"));
  }
  text += fmt::format("  {} places, every {} tokens, in {} windows and {} documents; {}\n",
                      count("positions"), count("chunk_size"), count("windows"), count("documents"),
                      report.contains("samples")
                          ? fmt::format("{} draws a place ({})", count("samples"),
                                        report["protocol"].get<std::string>())
                          : fmt::format("exact but for collisions of n > 1 ({})",
                                        report["protocol"].get<std::string>()));
  text += "  n      Brier-n    counted   accuracy  collision\n";
  for (int n = 0; n < 4; ++n) {
    text += fmt::format("  {}  {:>11.5f} {:>10.5f} {:>10.5f} {:>10.5f}\n", n + 1,
                        report["brier"][n].get<double>(), report["brier_counted"][n].get<double>(),
                        report["accuracy"][n].get<double>(), report["collision"][n].get<double>());
  }
  text += fmt::format("{} head: held-out loss {:.4f}", report["head"].get<std::string>(),
                      number("heldout_loss"));
  for (const auto& [name, value] : report["heldout_terms"].items()) {
    text += fmt::format(", {} {:.4f}", name, value.get<double>());
  }
  if (report.contains("perplexity")) {
    text += fmt::format(", perplexity {:.3f}", number("perplexity"));
  }
  return text + "\n" + PartsText(report);
}

}  // namespace

std::string ReportText(const json& report) {
  std::string text;
  if (report.contains("brier_lm")) text += ModelText(report);
  if (report.contains("autoencoder")) text += ReconstructionText(report["autoencoder"]);
  return text;
}

}  // namespace halcyon::worker
