#include "storage/sample_log.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

#include "base/digest.h"
#include "storage/hex.h"
#include "storage/record_log.h"
#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

constexpr size_t kDigest128Digits = 32;

std::string SampleFileName(const WriterFence& writer) {
  return std::to_string(writer.claim) + "." + std::to_string(writer.launch);
}

// nullopt for a name that SampleFileName does not make.
std::optional<WriterFence> WriterOfSampleFile(const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(name, '.');
  WriterFence writer;
  const bool is_name = parts.size() == 2 && absl::SimpleAtoi(parts[0], &writer.claim) &&
                       absl::SimpleAtoi(parts[1], &writer.launch) && SampleFileName(writer) == name;
  return is_name ? std::optional(writer) : std::nullopt;
}

std::string LaunchLine(const SampleLaunch& launch) {
  json line = {{"type", "launch"},
               {"format", kSampleLogFormat},
               {"claim", launch.writer.claim},
               {"launch", launch.writer.launch},
               {"ranks", launch.ranks},
               {"after", launch.after}};
  if (launch.from) line["from"] = {launch.from->claim, launch.from->launch};
  return RecordLine(line);
}

std::string StepLine(const WriterFence& writer, const StepSamples& step) {
  json line = {{"claim", writer.claim},       {"launch", writer.launch},
               {"step", step.step},           {"samples", step.samples},
               {"items", Hex128(step.items)}, {"text", Hex128(step.text)}};
  if (step.latents) line["latents"] = Hex128(*step.latents);
  if (step.by_place) {
    line["items_by_place"] = Hex128(step.by_place->items);
    line["text_by_place"] = Hex128(step.by_place->text);
    if (step.latents) line["latents_by_place"] = Hex128(step.by_place->latents);
  }
  return RecordLine(line);
}

absl::StatusOr<WriterFence> WriterMember(const json& line) {
  WriterFence writer;
  ASSIGN_OR_RETURN(writer.claim, UnsignedMember(line, "claim"));
  ASSIGN_OR_RETURN(writer.launch, UnsignedMember(line, "launch"));
  return writer;
}

absl::StatusOr<Digest128> DigestMember(const json& line, const char* name) {
  ASSIGN_OR_RETURN(const std::string hex, StringMember(line, name));
  const std::optional<std::string> bytes = BytesFromHex(hex);
  if (hex.size() != kDigest128Digits || !bytes) {
    return DataLoss("member \"" + std::string(name) + "\": is no digest of 128 bits");
  }
  Digest128 digest = {};
  for (size_t i = 0; i < bytes->size(); ++i) {
    digest[i / 8] = digest[i / 8] << 8 | static_cast<unsigned char>((*bytes)[i]);
  }
  return digest;
}

absl::Status TakeLaunch(const json& line, SampleHistory* history) {
  RETURN_IF_ERROR(CheckLogFormat(line, "a sample log", kSampleLogFormat));
  SampleLaunch launch;
  ASSIGN_OR_RETURN(launch.writer, WriterMember(line));
  ASSIGN_OR_RETURN(const uint64_t ranks, UnsignedMember(line, "ranks"));
  if (ranks == 0 || ranks > std::numeric_limits<uint32_t>::max()) {
    return DataLoss("member \"ranks\": out of range");
  }
  launch.ranks = static_cast<uint32_t>(ranks);
  ASSIGN_OR_RETURN(launch.after, UnsignedMember(line, "after"));
  if (line.contains("from")) {
    const json& from = line["from"];
    if (!from.is_array() || from.size() != 2 || !from[0].is_number_unsigned() ||
        !from[1].is_number_unsigned()) {
      return DataLoss("member \"from\": expected a claim and a launch");
    }
    launch.from = WriterFence{from[0].get<uint64_t>(), from[1].get<uint64_t>()};
  }
  history->launches.push_back(std::move(launch));
  return absl::OkStatus();
}

absl::Status TakeStep(const json& line, SampleHistory* history) {
  ASSIGN_OR_RETURN(const WriterFence writer, WriterMember(line));
  if (history->launches.empty() || history->launches.back().writer != writer) {
    return DataLoss("is of " + writer.ToString() + ", whose own line is not before it");
  }
  StepSamples step;
  ASSIGN_OR_RETURN(step.step, UnsignedMember(line, "step"));
  ASSIGN_OR_RETURN(step.samples, UnsignedMember(line, "samples"));
  ASSIGN_OR_RETURN(step.items, DigestMember(line, "items"));
  ASSIGN_OR_RETURN(step.text, DigestMember(line, "text"));
  if (line.contains("latents")) {
    ASSIGN_OR_RETURN(step.latents, DigestMember(line, "latents"));
  }
  if (line.contains("items_by_place")) {
    PlaceSums& sums = step.by_place.emplace();
    ASSIGN_OR_RETURN(sums.items, DigestMember(line, "items_by_place"));
    ASSIGN_OR_RETURN(sums.text, DigestMember(line, "text_by_place"));
    if (step.latents) {
      ASSIGN_OR_RETURN(sums.latents, DigestMember(line, "latents_by_place"));
    }
  }
  history->launches.back().steps.push_back(step);
  return absl::OkStatus();
}

struct SampleFile {
  WriterFence writer;
  std::string name;  // within CHECKPOINTS/samples
};

// In the order of the launches. kNotFound: there is none.
absl::StatusOr<std::vector<SampleFile>> SampleFiles(Env& env, const std::string& checkpoints) {
  const std::string dir = JoinPath(checkpoints, kSamplesFolder);
  std::vector<SampleFile> files;
  if (env.Exists(dir)) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(dir));
    for (const std::string& name : names) {
      if (const auto writer = WriterOfSampleFile(name)) files.push_back({*writer, name});
    }
  }
  if (files.empty()) return NotFound("no record of samples in " + dir);
  std::ranges::sort(files, {}, &SampleFile::writer);
  return files;
}

// The last launch of that writer before launch number `end`: numbers of claims may come again in
// what was copied from another stage, which stands before.
std::optional<size_t> FindLaunch(const SampleHistory& history, const WriterFence& writer,
                                 size_t end) {
  for (size_t i = end; i-- > 0;) {
    if (history.launches[i].writer == writer) return i;
  }
  return std::nullopt;
}

}  // namespace

std::string Hex128(const Digest128& digest) { return Hex64(digest[0]) + Hex64(digest[1]); }

absl::Status ParseSampleLog(std::string_view text, const std::string& name,
                            SampleHistory* history) {
  return VisitRecordLines(text, [&](int number, const std::optional<json>& line) -> absl::Status {
    const std::string where = name + ": line " + std::to_string(number);
    if (!line) {
      history->damage.push_back(where + " is damaged");
      return absl::OkStatus();
    }
    const bool is_launch = line->is_object() && line->contains("type");
    const absl::Status taken = is_launch ? TakeLaunch(*line, history) : TakeStep(*line, history);
    if (absl::IsFailedPrecondition(taken)) return Annotate(taken, where);
    if (!taken.ok()) history->damage.push_back(where + ": " + MessageOf(taken));
    return absl::OkStatus();
  });
}

absl::StatusOr<SampleHistory> ReadSampleLogs(Env& env, const std::string& checkpoints) {
  ASSIGN_OR_RETURN(const std::vector<SampleFile> files, SampleFiles(env, checkpoints));
  SampleHistory history;
  for (const SampleFile& file : files) {
    const std::string name = JoinPath(kSamplesFolder, file.name);
    ASSIGN_OR_RETURN(const std::string text, env.ReadFile(JoinPath(checkpoints, name)));
    RETURN_IF_ERROR(ParseSampleLog(text, name, &history));
  }
  return history;
}

absl::StatusOr<std::string> JoinSampleLogs(Env& env, const std::string& checkpoints,
                                           const WriterFence& last) {
  ASSIGN_OR_RETURN(const std::vector<SampleFile> files, SampleFiles(env, checkpoints));
  std::string joined;
  for (const SampleFile& file : files) {
    if (file.writer > last) continue;
    const std::string path = JoinPath(JoinPath(checkpoints, kSamplesFolder), file.name);
    ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
    // A line that was cut short would run into the next file's.
    joined += text.substr(0, text.rfind('\n') + 1);
  }
  return joined;
}

SampleLog::SampleLog(Env& env, const std::string& checkpoints)
    : env_(env), dir_(JoinPath(checkpoints, kSamplesFolder)) {}

std::string SampleLog::PathOf(const WriterFence& writer) const {
  return JoinPath(dir_, SampleFileName(writer));
}

absl::Status SampleLog::Begin(SampleLaunch launch, uint64_t from_format) {
  writer_ = launch.writer;
  if (launch.from && from_format == 0 && !env_.Exists(PathOf(*launch.from))) launch.from.reset();
  RETURN_IF_ERROR(CreateSyncedDir(env_, dir_));
  ASSIGN_OR_RETURN(file_, env_.NewWritableFile(PathOf(writer_)));
  RETURN_IF_ERROR(file_->Append(LaunchLine(launch)));
  RETURN_IF_ERROR(file_->Sync());
  return env_.SyncDir(dir_);
}

void SampleLog::Add(const StepSamples& step) {
  if (written_.ok()) written_ = file_->Append(StepLine(writer_, step));
}

absl::Status SampleLog::Sync() {
  if (written_.ok()) written_ = file_->Sync();
  return written_;
}

SampleLineage LineageOf(const SampleHistory& history, const WriterFence& writer, uint64_t step,
                        uint64_t format) {
  SampleLineage lineage;
  std::optional<size_t> at = FindLaunch(history, writer, history.launches.size());
  if (!at && format > 0) lineage.lost = writer;
  uint64_t last = step;
  while (at) {
    const SampleLaunch& launch = history.launches[*at];
    if (launch.after < last) lineage.parts.push_back({&launch, launch.after + 1, last});
    last = std::min(last, launch.after);
    if (last == 0 || !launch.from) break;
    at = FindLaunch(history, *launch.from, *at);
    if (!at) lineage.lost = launch.from;
  }
  lineage.unrecorded = last;
  std::ranges::reverse(lineage.parts);
  return lineage;
}

absl::Status CopySampleLineage(Env& env, const std::string& from,
                               const CheckpointManifest& manifest, const std::string& to,
                               const WriterFence& to_writer) {
  auto history = ReadSampleLogs(env, from);
  if (absl::IsNotFound(history.status())) history = SampleHistory();
  RETURN_IF_ERROR(history.status());
  const SampleLineage lineage = LineageOf(*history, WriterOfCheckpoint(manifest.folder),
                                          manifest.step, manifest.sample_log_format);
  std::string text;
  // What is lost stays so.
  std::optional<WriterFence> before = lineage.lost;
  for (const LineagePart& part : lineage.parts) {
    text += LaunchLine({part.launch->writer, part.launch->ranks, part.first - 1, before});
    for (const StepSamples& made : part.launch->steps) {
      if (made.step <= part.last) text += StepLine(part.launch->writer, made);
    }
    before = part.launch->writer;
  }
  text += LaunchLine({to_writer, manifest.world_size, manifest.step, before});
  const std::string dir = JoinPath(to, kSamplesFolder);
  RETURN_IF_ERROR(CreateSyncedDir(env, dir));
  return WriteFileAtomically(env, JoinPath(dir, SampleFileName(to_writer)), text);
}

}  // namespace halcyon::storage
