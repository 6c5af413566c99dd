#include "coordinator/stages/latents_rule.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "coordinator/checks/early_checks.h"
#include "coordinator/display/progress_format.h"
#include "jobs/estimate.h"

namespace halcyon::coordinator {
namespace {

// Of text by gzip or Zstandard, about.
constexpr uint64_t kTextOfCompressedByte = 3;
// Of ids of two bytes; those of four stand for half as much.
constexpr uint64_t kTextOfByteOfIds = 2;

absl::StatusOr<uint64_t> TextBytesOf(Env& env, const jobs::DataSpec& data) {
  uint64_t bytes = 0;
  for (const std::string& file : data.Files()) {
    ASSIGN_OR_RETURN(const uint64_t size, env.FileSize(file));
    const bool is_compressed = file.ends_with(".gz") || file.ends_with(".zst");
    bytes += size * (is_compressed ? kTextOfCompressedByte : 1);
  }
  return data.format == jobs::DataFormat::kTokens ? bytes * kTextOfByteOfIds : bytes;
}

std::string NameOfRule(jobs::LatentsRule rule) {
  return rule == jobs::LatentsRule::kRecompute ? "recompute" : "store";
}

absl::StatusOr<jobs::LatentsRule> ReadRule(Env& env, const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const bool has_rule = json.is_object() && json.contains("latents");
  for (const auto rule : {jobs::LatentsRule::kStore, jobs::LatentsRule::kRecompute}) {
    if (has_rule && json["latents"] == NameOfRule(rule)) return rule;
  }
  return DataLoss(path +
                  ": does not say what data.latents = \"auto\" came to for this job; write "
                  "\"store\" or \"recompute\" into the job file");
}

std::string Duration(double seconds) {
  return FormatDuration(static_cast<int64_t>(1000 * seconds));
}

// The times and the rates that they follow from.
std::string TimesText(const jobs::LatentsTimes& times, const jobs::LatentsFacts& facts,
                      int64_t ranks) {
  const jobs::LatentsRates& rates = *facts.rates;
  return fmt::format(
      "storing takes about {} (measured: each of {} agents encodes {} chunks/s on {}, the disk "
      "writes {}/s and reads {}/s), recomputing {} (each of {} ranks {} chunks/s), training itself "
      "at least {}",
      Duration(times.store), facts.agents, FormatCount(rates.agent_chunks), rates.device,
      jobs::BytesText(static_cast<uint64_t>(rates.write_bytes)),
      jobs::BytesText(static_cast<uint64_t>(rates.read_bytes)), Duration(times.recompute), ranks,
      FormatCount(rates.rank_chunks), Duration(times.training));
}

std::string WhyOf(const jobs::LatentsChoice& choice, const jobs::LatentsFacts& facts,
                  int64_t ranks) {
  std::string why =
      fmt::format("stored they would take about {}, {} are free",
                  jobs::BytesText(choice.stored_bytes), jobs::BytesText(facts.free_bytes));
  if (choice.times) return why + "; " + TimesText(*choice.times, facts, ranks);
  return why + fmt::format(
                   "; training reads about {:.0f} % of the text; recomputing adds {:.1f} % to the "
                   "arithmetic of training",
                   100 * choice.used_share, 100 * choice.encoding_share);
}

absl::StatusOr<jobs::LatentsFacts> FactsOf(Env& env, const std::string& home,
                                           const LatentsMachine& machine,
                                           const jobs::JobSpec& spec) {
  jobs::LatentsFacts facts;
  ASSIGN_OR_RETURN(facts.text_bytes, TextBytesOf(env, spec.data));
  ASSIGN_OR_RETURN(const DiskRoom room, machine.free_room(home));
  facts.free_bytes = room.bytes;
  ASSIGN_OR_RETURN(facts.vocab_size, VocabularyOf(spec));
  facts.agents = machine.agents;
  return facts;
}

}  // namespace

absl::Status SettleLatents(Env& env, const std::string& home, const std::string& job_folder,
                           const LatentsMachine* machine,
                           const std::function<void(const std::string&)>& notify,
                           jobs::JobSpec* spec) {
  if (spec->data.latents != jobs::LatentsRule::kAuto) return absl::OkStatus();
  const std::string path = JoinPath(job_folder, kLatentsRuleFile);
  const auto decided = ReadRule(env, path);
  if (decided.ok()) {
    spec->data.latents = *decided;
    return absl::OkStatus();
  }
  if (!absl::IsNotFound(decided.status())) return decided.status();
  if (machine == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(jobs::LatentsFacts facts, FactsOf(env, home, *machine, *spec));
  jobs::LatentsChoice choice = jobs::ChooseLatents(*spec, facts);
  std::string not_measured;
  if (choice.has_room) {
    const auto rates = machine->rates(facts);
    if (rates.ok()) {
      facts.rates = *rates;
      choice = jobs::ChooseLatents(*spec, facts);
    } else {
      not_measured = "; no rates could be measured: " + MessageOf(rates.status());
    }
  }
  const std::string name = NameOfRule(choice.rule);
  const std::string why = WhyOf(choice, facts, spec->launch.ranks) + not_measured;
  RETURN_IF_ERROR(WriteFileAtomically(
      env, path, nlohmann::json({{"latents", name}, {"why", why}}).dump(2) + "\n"));
  notify("latents: data.latents = \"auto\" is \"" + name + "\" for this job: " + why);
  spec->data.latents = choice.rule;
  return absl::OkStatus();
}

}  // namespace halcyon::coordinator
