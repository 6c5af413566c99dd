#include "coordinator/stages/latents_rates.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "base/disk_rate.h"
#include "base/env.h"
#include "cluster/command.h"
#include "cluster/launcher.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kMeasuringMsMax = 120'000;
constexpr uint64_t kDiskBytesMin = 1 << 20, kDiskBytesMax = 64 << 20;
constexpr uint64_t kDiskShare = 16;  // at most this part of what is free

absl::StatusOr<jobs::LatentsRates> RatesOf(const std::string& printed) {
  const auto json = nlohmann::json::parse(printed, nullptr, /*allow_exceptions=*/false);
  jobs::LatentsRates rates;
  try {
    rates.device = json.at("device").get<std::string>();
    rates.is_gpu = json.at("is_gpu").get<bool>();
    rates.agent_chunks = json.at("agent_chunks").get<double>();
    rates.rank_chunks = json.at("rank_chunks").get<double>();
    rates.rank_flops = json.at("rank_flops").get<double>();
  } catch (const nlohmann::json::exception& error) {
    return Internal("halcyon-worker latents-rates printed no rates: " + std::string(error.what()));
  }
  if (std::min({rates.agent_chunks, rates.rank_chunks, rates.rank_flops}) > 0) return rates;
  return Internal("halcyon-worker latents-rates printed rates of 0");
}

}  // namespace

absl::StatusOr<jobs::LatentsRates> MeasureLatentsRates(const std::string& worker_program,
                                                       const std::string& folder,
                                                       const jobs::JobSpec& spec,
                                                       const jobs::LatentsFacts& facts) {
  Env& env = *Env::Posix();
  const std::string spec_path = JoinPath(folder, "latents_rates.toml");
  RETURN_IF_ERROR(WriteFileAtomically(env, spec_path, jobs::ToToml(spec)));
  const auto output =
      cluster::RunCommand({worker_program, "latents-rates", "--spec", spec_path, "--vocab-size",
                           std::to_string(facts.vocab_size), "--text-chunks",
                           std::to_string(jobs::LatentChunks(spec, facts.text_bytes))},
                          kMeasuringMsMax,
                          cluster::ReproducibleEnvironment(
                              static_cast<uint32_t>(spec.launch.threads), spec.launch.arithmetic));
  RETURN_IF_ERROR(env.RemoveFile(spec_path));
  RETURN_IF_ERROR(output.status());
  if (!output->exit.ok()) {
    const std::string said(absl::StripAsciiWhitespace(output->error));
    return FailedPrecondition(said.empty() ? output->exit.ToString() : said);
  }
  ASSIGN_OR_RETURN(jobs::LatentsRates rates, RatesOf(output->out));
  ASSIGN_OR_RETURN(const DiskRate disk,
                   MeasureDiskRate(folder, std::clamp(facts.free_bytes / kDiskShare, kDiskBytesMin,
                                                      kDiskBytesMax)));
  rates.write_bytes = disk.write_bytes;
  rates.read_bytes = disk.read_bytes;
  return rates;
}

}  // namespace halcyon::coordinator
