#include "pipeline/source_windows.h"

#include <fmt/format.h>

#include "jobs/heldout_parts.h"
#include "jobs/mixture.h"
#include "pipeline/shard_plan.h"

namespace halcyon::pipeline {
namespace {

// The windows of files, some after the others.
class FileWindows {
 public:
  struct Range {
    uint64_t begin = 0, windows = 0, chunks = 0;
  };
  FileWindows(const std::vector<uint32_t>& shards_of_files, const Packing& packing, Split split,
              uint32_t window_chunks)
      : shards_of_files_(shards_of_files),
        packing_(packing),
        split_(split),
        window_chunks_(window_chunks) {}

  // Of the next so many files together, the windows whose chunks are all of them.
  Range Next(size_t files) {
    const uint64_t begin_chunk = packing_.FirstChunkOfShard(shard_, split_);
    for (const size_t end = file_ + files; file_ < end; ++file_) shard_ += shards_of_files_[file_];
    const uint64_t end_chunk = packing_.FirstChunkOfShard(shard_, split_);
    const uint64_t begin = (begin_chunk + window_chunks_ - 1) / window_chunks_;
    const uint64_t end = end_chunk / window_chunks_;
    return {begin, end > begin ? end - begin : 0, end_chunk - begin_chunk};
  }

 private:
  const std::vector<uint32_t>& shards_of_files_;
  const Packing& packing_;
  const Split split_;
  const uint32_t window_chunks_;
  size_t file_ = 0;
  uint32_t shard_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<MixturePart>> WindowsOfSources(
    const jobs::DataSpec& data, const std::vector<uint32_t>& shards_of_files,
    const Packing& packing, uint32_t window_chunks) {
  const std::vector<double> shares = jobs::SharesOf(data);
  if (shares.empty()) {
    const uint64_t windows = packing.Chunks(Split::kTrain) / window_chunks;
    return std::vector<MixturePart>{{.items = windows}};
  }
  if (!AreShardsOf(data, shards_of_files, packing.shards())) {
    return FailedPrecondition(
        "the tokens do not say which shards are of which source, as those that an earlier version "
        "has made; remove them with halcyon cache rm and run the same command again");
  }
  std::vector<MixturePart> parts;
  FileWindows files(shards_of_files, packing, Split::kTrain, window_chunks);
  for (size_t i = 0; i < shares.size(); ++i) {
    const FileWindows::Range range = files.Next(data.source[i].paths.size());
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

std::vector<HeldoutWindows> HeldoutWindowsOf(const jobs::DataSpec& data,
                                             const std::vector<uint32_t>& shards_of_files,
                                             const Packing& packing, uint32_t window_chunks) {
  std::vector<HeldoutWindows> parts;
  if (!AreShardsOf(data, shards_of_files, packing.shards())) return parts;
  FileWindows files(shards_of_files, packing, Split::kHeldout, window_chunks);
  for (const jobs::HeldoutPart& part : jobs::HeldoutPartsOf(data)) {
    const FileWindows::Range range = files.Next(part.files);
    parts.push_back({part.name, range.begin, range.windows});
  }
  return parts;
}

}  // namespace halcyon::pipeline
