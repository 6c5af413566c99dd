#include "coordinator/display/summary.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "coordinator/display/progress_view.h"
#include "coordinator/display/quality.h"
#include "coordinator/submit/shell.h"
#include "jobs/heldout_parts.h"
#include "pipeline/sources/shard_plan.h"
#include "pipeline/sources/source_counts.h"
#include "storage/artifact_reader.h"

namespace halcyon::coordinator {
namespace {

using nlohmann::json;

// The figures of one stage, as text; each is "" when it was not reported.
class Facts {
 public:
  explicit Facts(const json& facts) : facts_(facts) {}

  std::optional<double> Number(const char* name) const {
    const auto it = facts_.find(name);
    if (it == facts_.end() || !it->is_number()) return std::nullopt;
    return it->get<double>();
  }
  std::string Count(const char* name, const std::string& what) const {
    const auto number = Number(name);
    return number ? FormatCount(*number) + " " + what : "";
  }
  std::string Percent(const char* name, const std::string& what) const {
    const auto number = Number(name);
    return number ? fmt::format("{} {:.2f} %", what, 100 * *number) : "";
  }
  std::string Plain(const char* name, const std::string& what) const {
    const auto number = Number(name);
    return number ? fmt::format("{} {:.4f}", what, *number) : "";
  }
  std::string Seconds() const {
    const auto number = Number("seconds");
    return number ? "in " + FormatDuration(static_cast<int64_t>(*number * 1000)) : "";
  }
  std::string BrierLm() const {
    const auto brier = Number("brier_lm"), low = Number("brier_low"), high = Number("brier_high");
    if (!brier || !low || !high) return "";
    return fmt::format("BrierLM {:.3f} (95 % interval {:.3f} to {:.3f})", *brier, *low, *high);
  }
  std::string BadDocuments() const {
    const auto number = Number("bad_documents");
    return number && *number > 0 ? FormatCount(*number) + " documents left out as unusable" : "";
  }
  // Of a mixture of sources: "web 70.00 % of the windows (0.43 passes), books ...".
  std::string Sources() const {
    return ListOf("sources", ", ", [](const std::string& name, const Facts& source, bool is_first) {
      const auto share = source.Number("share"), passes = source.Number("passes");
      if (!share || !passes) return std::string();
      return fmt::format("{} {:.2f} %{} ({:.2f} passes)", name, 100 * *share,
                         is_first ? " of the windows" : "", *passes);
    });
  }
  // Of tokens: "web 1.2M tokens to train on in 3.4k documents, 56k tokens held out; books ...".
  std::string TokensOfSources() const {
    return ListOf("sources", "; ", [](const std::string& name, const Facts& source, bool) {
      const std::string tokens = source.Count("tokens", "tokens to train on");
      if (tokens.empty()) return tokens;
      const auto share = source.Number("share");
      return fmt::format("{} {} in {}, {}{}", name, tokens, source.Count("documents", "documents"),
                         source.Count("heldout_tokens", "held out"),
                         share ? fmt::format(", {:.2f} % of the windows", 100 * *share) : "");
    });
  }
  // Of held-out text in parts: "of web BrierLM 1.200 and held-out loss 3.1000, of books ...".
  std::string HeldoutParts() const {
    return ListOf("heldout_parts", ", ", [](const std::string& name, const Facts& part, bool) {
      const auto brier = part.Number("brier_lm"), loss = part.Number("heldout_loss");
      if (!brier || !loss) return std::string();
      return fmt::format("of {} BrierLM {:.3f} and held-out loss {:.4f}", name, *brier, *loss);
    });
  }
  bool IsOne(const char* name) const { return Number(name) == 1.0; }
  std::string NoScore() const {
    const auto it = facts_.find("no_score");
    return it != facts_.end() && it->is_string() ? "no score: " + it->get<std::string>() : "";
  }
  std::string InvalidUtf8() const {
    const auto number = Number("invalid_utf8");
    return number && *number > 0 ? FormatCount(*number) + " invalid UTF-8 sequences replaced" : "";
  }

 private:
  // What `text_of` says of each member of a list that has a name; "" is left out.
  template <typename TextOf>
  std::string ListOf(const char* list, const char* between, TextOf text_of) const {
    std::string text;
    const auto found = facts_.find(list);
    if (found == facts_.end() || !found->is_array()) return text;
    for (const json& one : *found) {
      const auto name = one.find("name");
      if (name == one.end() || !name->is_string()) continue;
      const std::string said = text_of(name->get<std::string>(), Facts(one), text.empty());
      if (!said.empty()) text += (text.empty() ? "" : between) + said;
    }
    return text;
  }

  const json& facts_;
};

std::vector<std::string> FiguresOf(jobs::StageKind kind, const Facts& facts) {
  switch (kind) {
    case jobs::StageKind::kTokenizer:
      return {facts.Count("vocab_size", "tokens in the vocabulary")};
    case jobs::StageKind::kTokens:
      return {
          facts.Count("train.tokens", "tokens to train on"),
          facts.Count("train.documents", facts.IsOne("train.documents") ? "document" : "documents"),
          facts.Count("heldout.tokens", "tokens held out"), facts.InvalidUtf8(),
          facts.BadDocuments()};
    case jobs::StageKind::kAutoencoder:
      return {facts.Count("parameters", "parameters"), facts.Count("steps", "steps"),
              facts.Seconds(), facts.Percent("heldout_reconstruction", "held-out reconstruction")};
    case jobs::StageKind::kLatents:
      return {facts.Count("train.chunks", "chunks to train on"),
              facts.Count("heldout.chunks", "held out")};
    case jobs::StageKind::kModel:
      return {facts.Count("parameters", "parameters"), facts.Count("steps", "steps"),
              facts.Seconds(), facts.Plain("loss", "loss"),
              facts.Plain("heldout_loss", "held-out loss")};
    case jobs::StageKind::kEval:
      return {facts.NoScore(), facts.BrierLm(), facts.Plain("heldout_loss", "held-out loss"),
              facts.HeldoutParts(), facts.Percent("reconstruction", "token reconstruction")};
  }
  return {};
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    text += (text.empty() ? "" : ", ") + part;
  }
  return text;
}

std::string Indented(const std::string& text, const std::string& indent) {
  std::string lines = indent;
  for (const char c : text) {
    lines += c;
    if (c == '\n') lines += indent;
  }
  return lines;
}

std::string Continuations(const json& facts) {
  std::string text;
  const auto word = [](const json& one, const char* name) {
    const auto it = one.find(name);
    return it != one.end() && it->is_string() ? it->get<std::string>() : "";
  };
  const auto list = facts.find("continuations");
  if (list == facts.end()) return text;
  for (const json& one : *list) {
    if (!one.is_object()) continue;
    text += "\n--- sample; the model wrote what follows the bar\n" +
            Indented(word(one, "prompt") + "|" + word(one, "text"), "    ") + "\n";
  }
  return text;
}

}  // namespace

absl::Status AddSourceCounts(Env& env, const jobs::DataSpec& data,
                             std::map<jobs::StageKind, Artifact>* artifacts) {
  const auto found = artifacts->find(jobs::StageKind::kTokens);
  if (found == artifacts->end() || jobs::HeldoutPartsOf(data).empty()) return absl::OkStatus();
  json& facts = found->second.facts;
  ASSIGN_OR_RETURN(auto artifact, storage::ArtifactReader::Open(env, found->second.record.path));
  ASSIGN_OR_RETURN(const auto tokens, artifact.OpenCache());
  for (const pipeline::SourceCounts& one :
       pipeline::CountSources(data, pipeline::FileShards::FromFacts(facts), *tokens)) {
    json source = {{"name", one.name},
                   {"documents", one.train_documents},
                   {"tokens", one.train_tokens},
                   {"heldout_documents", one.heldout_documents},
                   {"heldout_tokens", one.heldout_tokens}};
    if (one.share) source["share"] = *one.share;
    facts["sources"].push_back(std::move(source));
  }
  return absl::OkStatus();
}

json SummaryJson(const JobStatus& status, const std::map<jobs::StageKind, Artifact>& artifacts) {
  json stages = json::object();
  for (const auto& [kind, artifact] : artifacts) {
    const StageStatus* stage = status.Find(kind);
    stages[std::string(jobs::StageName(kind))] = {
        {"state", stage == nullptr ? "" : std::string(jobs::NameOf(stage->state))},
        {"fingerprint", artifact.record.fingerprint},
        {"content_digest", artifact.record.content_digest},
        {"path", artifact.record.path},
        {"bytes", artifact.record.bytes},
        {"facts", artifact.facts}};
  }
  return {{"job_id", status.job_id},
          {"state", jobs::NameOf(status.state)},
          {"seconds", static_cast<double>(status.updated_ms - status.started_ms) / 1000},
          {"stages", std::move(stages)}};
}

std::string SummaryText(const JobStatus& status,
                        const std::map<jobs::StageKind, Artifact>& artifacts,
                        const std::string& home) {
  const bool is_partial = status.state == jobs::JobState::kPartial;
  std::string text = fmt::format("\n{} is {}, {}\n\n", status.job_id,
                                 is_partial ? "made until " + status.until : "done",
                                 FormatDuration(status.updated_ms - status.started_ms));
  for (const auto& [kind, artifact] : artifacts) {
    const StageStatus* stage = status.Find(kind);
    const bool reused = stage != nullptr && stage->state == jobs::StageState::kReused;
    const Facts facts(artifact.facts);
    text += fmt::format("{:<12}{}{}\n", jobs::StageName(kind), Joined(FiguresOf(kind, facts)),
                        reused ? " (reused)" : "");
    for (const std::string& sources : {facts.Sources(), facts.TokensOfSources()}) {
      if (!sources.empty()) text += fmt::format("{:<12}{}\n", "", sources);
    }
    text += fmt::format("{:<12}{}\n", "", artifact.record.path);
  }
  // At the end, where a person looks first; for reused artifacts, too.
  for (const auto& [kind, artifact] : artifacts) {
    const std::string warning = QualityWarning(kind, artifact.facts);
    if (!warning.empty()) text += "\nWARNING: " + warning + "\n";
  }
  if (is_partial) {
    return text + "\n" + status.MadeUntil() +
           ": the same command without --until goes on with them\n";
  }
  if (const auto eval = artifacts.find(jobs::StageKind::kEval); eval != artifacts.end()) {
    text += Continuations(eval->second.facts);
  }
  const auto eval = artifacts.find(jobs::StageKind::kEval);
  const bool has_score = eval != artifacts.end() && eval->second.facts.contains("brier_lm");
  const std::string halcyon =
      "  halcyon " + (home.empty() ? "" : "--home " + ShellQuoted(home) + " ");
  text += fmt::format("\nTry next:\n{}generate --job {} --prompt \"...\" --temperature 0.5\n",
                      halcyon, status.job_id);
  if (has_score) text += fmt::format("{}eval --job {} --windows 64\n", halcyon, status.job_id);
  text += halcyon + "cache list\n";
  return text;
}

}  // namespace halcyon::coordinator
