// The sample log of a training stage: of each step how many samples the ranks trained on, and a
// digest over them (pipeline/samples/sample_digest.h). `halcyon audit` compares it with what should
// have been used.
//
//   CHECKPOINTS/samples/3.2    of launch 2 under claim 3, beside the checkpoints (checkpoint.h)
//
// One file a launch, which its rank 0 writes: a line for the launch, then one for each step it
// makes, each with a checksum (record_log.h); docs/checkpoint_format.md defines them. The lines of
// a step are on the disk before a checkpoint of that step or a later one is committed. Steps that a
// crash took away stand in the file of the launch that made them first, and in that of the one that
// made them again: LineageOf says whose are in the weights. A finished artifact has the files of
// all launches, one after the other, as kSampleLogFile.
#ifndef HALCYON_STORAGE_SAMPLE_LOG_H_
#define HALCYON_STORAGE_SAMPLE_LOG_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "storage/checkpoint.h"

namespace halcyon::storage {

// Of the lines, in the log and in the manifests of checkpoints that have one.
inline constexpr uint64_t kSampleLogFormat = 1;
inline constexpr char kSamplesFolder[] = "samples";
inline constexpr char kSampleLogFile[] = "samples.log";

// The higher 64 bits first.
using Digest128 = std::array<uint64_t, 2>;
// 32 lowercase hexadecimal digits.
std::string Hex128(const Digest128& digest);

// Sums as those of StepSamples in which each term counts as often as its place in the batch says,
// from 1: with both, a single wrong sample is found.
struct PlaceSums {
  Digest128 items = {}, text = {}, latents = {};
  bool operator==(const PlaceSums&) const = default;
};

struct StepSamples {
  uint64_t step = 0;     // 1 is the first
  uint64_t samples = 0;  // over all ranks
  Digest128 items = {};  // over which item each sample was
  Digest128 text = {};   // over the token ids of each
  // Over the latents that were loaded for each; nullopt: none were, or an earlier version made it.
  std::optional<Digest128> latents = {};
  std::optional<PlaceSums> by_place = {};  // nullopt: an earlier version made it
  bool operator==(const StepSamples&) const = default;
};

struct SampleLaunch {
  WriterFence writer;
  uint32_t ranks = 1;
  uint64_t after = 0;  // steps done when it began
  // The launch that had made the last of these; nullopt when there was none, or it has no log.
  std::optional<WriterFence> from = {};
  std::vector<StepSamples> steps = {};  // in the order of the lines
};

struct SampleHistory {
  std::vector<SampleLaunch> launches;  // in the order of the files and their lines
  std::vector<std::string> damage;     // "samples/3.2: line 7 is damaged"
};

// Adds what the text says to `history`; `name` is for messages. Lines that are damaged, or that
// contradict those before, are left out and named: whether they are missed is for who needs them.
// kFailedPrecondition: a newer format.
absl::Status ParseSampleLog(std::string_view text, const std::string& name, SampleHistory* history);

// The logs of all launches beside the checkpoints in `checkpoints`. kNotFound: there are none, as
// with what a version of Halcyon has made that kept none.
absl::StatusOr<SampleHistory> ReadSampleLogs(Env& env, const std::string& checkpoints);
// Their text up to that of `last`, for an artifact.
absl::StatusOr<std::string> JoinSampleLogs(Env& env, const std::string& checkpoints,
                                           const WriterFence& last);

// Writes the log of one launch. Not thread-safe. `env` outlives it.
class SampleLog {
 public:
  SampleLog(Env& env, const std::string& checkpoints);

  // Begins the launch's file with its line, which is on the disk when this returns OK.
  // `launch.from` is left out where that launch kept no log: it has none, and `from_format`, of the
  // manifest of its checkpoint, is 0. REQUIRES: `launch` has no steps.
  absl::Status Begin(SampleLaunch launch, uint64_t from_format = 0);
  // REQUIRES: Begin returned OK.
  void Add(const StepSamples& step);
  // What was added is on the disk when it returns OK. A line that could not be written, as on a
  // full disk, is an error here, and so is every later Sync: after it nothing is written.
  absl::Status Sync();

 private:
  std::string PathOf(const WriterFence& writer) const;

  Env& env_;
  const std::string dir_;
  WriterFence writer_;
  std::unique_ptr<WritableFile> file_;
  absl::Status written_;  // the first error
};

// Steps first ... last of what a launch made.
struct LineagePart {
  const SampleLaunch* launch = nullptr;
  uint64_t first = 0, last = 0;
};
struct SampleLineage {
  std::vector<LineagePart> parts;  // ascending, without a gap
  uint64_t unrecorded = 0;         // steps 1 ... unrecorded are of a launch that has no log
  // The launch that made them has had one, which is not in the history.
  std::optional<WriterFence> lost = {};
};
// Who made the steps in the checkpoint of step `step` that `writer` wrote, whose manifest has this
// sample_log_format. Points into `history`.
SampleLineage LineageOf(const SampleHistory& history, const WriterFence& writer, uint64_t step,
                        uint64_t format = 0);

// For a checkpoint that is copied to the checkpoints of another stage (checkpoint_copy.h): writes
// there, as the log of `to_writer`, its lineage, and a launch of as many ranks that makes no step.
// `manifest`: of the checkpoint in `from`.
absl::Status CopySampleLineage(Env& env, const std::string& from,
                               const CheckpointManifest& manifest, const std::string& to,
                               const WriterFence& to_writer);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_SAMPLE_LOG_H_
