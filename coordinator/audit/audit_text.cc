#include "coordinator/audit/audit_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace halcyon::coordinator {
namespace {

using nlohmann::json;

// "window", "chunk".
std::string ItemName(jobs::StageKind kind) {
  return kind == jobs::StageKind::kAutoencoder ? "chunk" : "window";
}

std::string RangeText(uint64_t first, uint64_t last, const std::string& between = " to ") {
  return first == last ? fmt::format("{}", first) : fmt::format("{}{}{}", first, between, last);
}

// "step 60", "steps 1 to 50".
std::string StepsText(uint64_t first, uint64_t last) {
  return (first == last ? "step " : "steps ") + RangeText(first, last);
}

std::string VerdictSentence(const AuditSubject& subject, const AuditReport& report) {
  switch (report.verdict) {
    case AuditVerdict::kFails:
      return fmt::format("does not hold: {} faults", report.fault_count);
    case AuditVerdict::kUnrecorded:
      return fmt::format(
          "not known: steps 1 to {} were made by a version of Halcyon that recorded no samples; "
          "the others are as they should be",
          report.unrecorded);
    case AuditVerdict::kHolds:
      break;
  }
  std::string compared = subject.with_text ? ", its text compared" : "";
  if (report.with_latents == report.samples && report.samples > 0) {
    compared = ", its text and latents compared";
  } else if (report.with_latents > 0) {
    compared += fmt::format(", and the latents of {}", report.with_latents);
  }
  return fmt::format("holds: each of {} samples was used exactly as it should be{}", report.samples,
                     compared);
}

json StepsToJson(const std::vector<LaunchSteps>& all) {
  json launches = json::array();
  for (const LaunchSteps& one : all) {
    launches.push_back({{"claim", one.writer.claim},
                        {"launch", one.writer.launch},
                        {"ranks", one.ranks},
                        {"first_step", one.first},
                        {"last_step", one.last}});
  }
  return launches;
}

double PassesOf(const SourceUse& source) {
  return static_cast<double>(source.samples) / static_cast<double>(source.items);
}

}  // namespace

std::string AuditVerdictName(AuditVerdict verdict) {
  switch (verdict) {
    case AuditVerdict::kHolds:
      return "holds";
    case AuditVerdict::kUnrecorded:
      return "unrecorded";
    case AuditVerdict::kFails:
      return "fails";
  }
  return "";
}

std::string AuditText(const AuditSubject& subject, const AuditReport& report) {
  std::string text = subject.stage + ": " + VerdictSentence(subject, report) + "\n";
  for (const AuditFault& fault : report.faults) text += "  " + fault.what + "\n";
  if (report.fault_count > report.faults.size()) {
    text += fmt::format("  and {} more\n", report.fault_count - report.faults.size());
  }
  text +=
      fmt::format("  steps    {}, of {} samples each{}\n", RangeText(report.first, report.last),
                  subject.batch, subject.finished ? "" : "; up to the last committed checkpoint");
  for (const SourceUse& source : report.sources) {
    text +=
        fmt::format("  {:<8} {}{} {}s, each used {} times: {:.4g} passes\n",
                    source.name.empty() ? "text" : "source",
                    source.name.empty() ? "" : source.name + ": ", source.items,
                    ItemName(subject.kind), RangeText(source.least, source.most), PassesOf(source));
  }
  for (const LaunchSteps& launch : report.launches) {
    text += fmt::format("  made by  {}, {} ranks: {}\n", launch.writer.ToString(), launch.ranks,
                        StepsText(launch.first, launch.last));
  }
  for (const LaunchSteps& launch : report.redone) {
    text += fmt::format("  redone   {}, which {} had made and not saved\n",
                        StepsText(launch.first, launch.last), launch.writer.ToString());
  }
  return text;
}

json ToJson(const AuditSubject& subject, const AuditReport& report) {
  json sources = json::array();
  for (const SourceUse& source : report.sources) {
    sources.push_back({{"name", source.name},
                       {"samples", source.samples},
                       {"items", source.items},
                       {"passes", PassesOf(source)},
                       {"least_uses", source.least},
                       {"most_uses", source.most}});
  }
  json faults = json::array();
  for (const AuditFault& fault : report.faults) {
    faults.push_back({{"step", fault.step}, {"what", fault.what}});
  }
  return {{"stage", subject.stage},
          {"item", ItemName(subject.kind)},
          {"verdict", AuditVerdictName(report.verdict)},
          {"finished", subject.finished},
          {"text_compared", subject.with_text},
          {"first_step", report.first},
          {"last_step", report.last},
          {"unrecorded_steps", report.unrecorded},
          {"batch", subject.batch},
          {"samples", report.samples},
          {"samples_with_latents_compared", report.with_latents},
          {"sources", std::move(sources)},
          {"launches", StepsToJson(report.launches)},
          {"redone", StepsToJson(report.redone)},
          {"faults", std::move(faults)},
          {"fault_count", report.fault_count}};
}

std::string SamplesText(const AuditSubject& subject, const std::vector<ListedSample>& samples) {
  std::string text = fmt::format("\n{:>10} {:>10} {:>7} {:>13}  {}\n", "SAMPLE",
                                 subject.kind == jobs::StageKind::kAutoencoder ? "CHUNK" : "WINDOW",
                                 "SHARD", "DOCUMENTS", "TEXT");
  for (const ListedSample& one : samples) {
    const ItemPlace& place = one.place;
    text += fmt::format("{:>10} {:>10} {:>7} {:>13}  {}{}\n", one.sample, one.item,
                        RangeText(place.first_shard, place.last_shard, "-"),
                        RangeText(place.first_document, place.last_document, "-"),
                        place.source.empty() ? "" : place.source + ": ", place.words);
  }
  return text;
}

json ToJson(const AuditSubject& subject, const std::vector<ListedSample>& samples) {
  json list = json::array();
  for (const ListedSample& one : samples) {
    list.push_back({{"sample", one.sample},
                    {ItemName(subject.kind), one.item},
                    {"source", one.place.source},
                    {"first_file", one.place.first_file},
                    {"last_file", one.place.last_file},
                    {"first_shard", one.place.first_shard},
                    {"last_shard", one.place.last_shard},
                    {"first_document", one.place.first_document},
                    {"last_document", one.place.last_document},
                    {"words", one.place.words}});
  }
  return list;
}

}  // namespace halcyon::coordinator
