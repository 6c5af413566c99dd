#include "pipeline/samples/source_windows.h"

#include <fmt/format.h>

#include "jobs/heldout_parts.h"
#include "jobs/mixture.h"

namespace halcyon::pipeline {
namespace {

// The windows of files, some after the others. REQUIRES: `files` is of the packing's shards.
class FileWindows {
 public:
  struct Range {
    uint64_t begin = 0, windows = 0, chunks = 0;
  };
  FileWindows(const FileShards& files, const Packing& packing, Split split, uint32_t window_chunks)
      : files_(files), packing_(packing), split_(split), window_chunks_(window_chunks) {}

  // Of the next so many files together, the windows whose chunks are all of them.
  Range Next(size_t count) {
    const uint64_t begin_chunk = FirstChunkFrom(next_);
    next_ += count;
    const uint64_t end_chunk = FirstChunkFrom(next_);
    const uint64_t begin = (begin_chunk + window_chunks_ - 1) / window_chunks_;
    const uint64_t end = end_chunk / window_chunks_;
    return {begin, end > begin ? end - begin : 0, end_chunk - begin_chunk};
  }

 private:
  uint64_t FirstChunkFrom(size_t file) const {
    return packing_.FirstChunkOfShard(files_.FirstFrom(file), split_);
  }

  const FileShards& files_;
  const Packing& packing_;
  const Split split_;
  const uint32_t window_chunks_;
  size_t next_ = 0;  // file
};

}  // namespace

absl::StatusOr<std::vector<MixturePart>> WindowsOfSources(const jobs::DataSpec& data,
                                                          const FileShards& files,
                                                          const Packing& packing,
                                                          uint32_t window_chunks) {
  const std::vector<double> shares = jobs::SharesOf(data);
  if (shares.empty()) {
    const uint64_t windows = packing.Chunks(Split::kTrain) / window_chunks;
    return std::vector<MixturePart>{{.items = windows}};
  }
  if (!files.AreOf(data, packing.shards())) {
    return FailedPrecondition(
        "the tokens do not say which shards are of which source, as those that an earlier version "
        "has made; remove them with halcyon cache rm and run the same command again");
  }
  std::vector<MixturePart> parts;
  FileWindows windows(files, packing, Split::kTrain, window_chunks);
  for (size_t i = 0; i < shares.size(); ++i) {
    const FileWindows::Range range = windows.Next(data.source[i].paths.size());
    if (range.windows == 0) {
      return InvalidArgument(fmt::format(
          "data.source \"{}\": its training text of {} chunks fills no window of {}; give it more "
          "text, lower model.window_chunks, or leave it out",
          data.source[i].name, range.chunks, window_chunks));
    }
    parts.push_back({data.source[i].name, shares[i], range.begin, range.windows});
  }
  return parts;
}

std::vector<HeldoutWindows> HeldoutWindowsOf(const jobs::DataSpec& data, const FileShards& files,
                                             const Packing& packing, uint32_t window_chunks) {
  std::vector<HeldoutWindows> parts;
  if (!files.AreOf(data, packing.shards())) return parts;
  FileWindows windows(files, packing, Split::kHeldout, window_chunks);
  for (const jobs::HeldoutPart& part : jobs::HeldoutPartsOf(data)) {
    const FileWindows::Range range = windows.Next(part.files);
    parts.push_back({part.name, range.begin, range.windows});
  }
  return parts;
}

}  // namespace halcyon::pipeline
