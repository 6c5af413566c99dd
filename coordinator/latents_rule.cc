#include "coordinator/latents_rule.h"

#include <nlohmann/json.hpp>

#include "coordinator/early_checks.h"
#include "jobs/latents_choice.h"

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

}  // namespace

absl::Status SettleLatents(
    Env& env, const std::string& home, const std::string& job_folder,
    const std::function<absl::StatusOr<DiskRoom>(const std::string&)>& free_room,
    const std::function<void(const std::string&)>& notify, jobs::JobSpec* spec) {
  if (spec->data.latents != jobs::LatentsRule::kAuto) return absl::OkStatus();
  const std::string path = JoinPath(job_folder, kLatentsRuleFile);
  const auto decided = ReadRule(env, path);
  if (decided.ok()) {
    spec->data.latents = *decided;
    return absl::OkStatus();
  }
  if (!absl::IsNotFound(decided.status())) return decided.status();
  ASSIGN_OR_RETURN(const uint64_t text_bytes, TextBytesOf(env, spec->data));
  ASSIGN_OR_RETURN(const DiskRoom room, free_room(home));
  ASSIGN_OR_RETURN(const int64_t vocab_size, VocabularyOf(*spec));
  const jobs::LatentsChoice choice = jobs::ChooseLatents(*spec, text_bytes, room.bytes, vocab_size);
  const std::string name = NameOfRule(choice.rule);
  RETURN_IF_ERROR(WriteFileAtomically(
      env, path, nlohmann::json({{"latents", name}, {"why", choice.why}}).dump(2) + "\n"));
  notify("latents: data.latents = \"auto\" is \"" + name + "\" for this job: " + choice.why);
  spec->data.latents = choice.rule;
  return absl::OkStatus();
}

}  // namespace halcyon::coordinator
