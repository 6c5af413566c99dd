#include "pipeline/source_windows.h"

#include <fmt/format.h>

#include <numeric>

#include "jobs/mixture.h"

namespace halcyon::pipeline {

absl::StatusOr<std::vector<MixturePart>> WindowsOfSources(
    const jobs::DataSpec& data, const std::vector<uint32_t>& shards_of_files,
    const Packing& packing, uint32_t window_chunks) {
  const std::vector<double> shares = jobs::SharesOf(data);
  if (shares.empty()) {
    const uint64_t windows = packing.Chunks(Split::kTrain) / window_chunks;
    return std::vector<MixturePart>{{.items = windows}};
  }
  const uint64_t shards =
      std::accumulate(shards_of_files.begin(), shards_of_files.end(), uint64_t{0});
  if (shards_of_files.size() != data.sources.size() || shards != packing.shards()) {
    return FailedPrecondition(
        "the tokens do not say which shards are of which source, as those that an earlier version "
        "has made; remove them with halcyon cache rm and run the same command again");
  }
  std::vector<MixturePart> parts;
  size_t file = 0;
  uint32_t shard = 0;
  for (size_t i = 0; i < shares.size(); ++i) {
    const uint64_t begin_chunk = packing.FirstChunkOfShard(shard, Split::kTrain);
    for (const size_t end = file + data.source[i].paths.size(); file < end; ++file) {
      shard += shards_of_files[file];
    }
    const uint64_t end_chunk = packing.FirstChunkOfShard(shard, Split::kTrain);
    const uint64_t begin = (begin_chunk + window_chunks - 1) / window_chunks;
    const uint64_t end = end_chunk / window_chunks;
    if (begin >= end) {
      return InvalidArgument(fmt::format(
          "data.source \"{}\": its training text of {} chunks fills no window of {}; give it more "
          "text, lower model.window_chunks, or leave it out",
          data.source[i].name, end_chunk - begin_chunk, window_chunks));
    }
    parts.push_back({data.source[i].name, shares[i], begin, end - begin});
  }
  return parts;
}

}  // namespace halcyon::pipeline
