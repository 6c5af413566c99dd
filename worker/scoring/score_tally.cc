#include "worker/scoring/score_tally.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "worker/scoring/rollout.h"

namespace halcyon::worker {
namespace {

using pipeline::Split;

// The windows shrink to the held-out text (worker/inputs/artifacts.h), so the text itself is too
// short.
absl::Status CheckWindows(const pipeline::WindowLoader& windows, int64_t chunk_size) {
  const uint64_t chunks = windows.packing().Chunks(Split::kHeldout);
  if (chunks == 0) {
    return InvalidArgument("no text is held out, so there is nothing to score on");
  }
  if (windows.Windows(Split::kHeldout) == 0 ||
      windows.window_chunks() <= ChunksOfGram(chunk_size)) {
    return InvalidArgument(fmt::format(
        "the held-out text has {} chunks of {} tokens, too few for four tokens after a chunk",
        chunks, chunk_size));
  }
  return absl::OkStatus();
}

// Joins the ranks' accumulators in rank order.
absl::StatusOr<model::BrierAccumulator> JoinBrier(const model::BrierAccumulator& mine,
                                                  cluster::Collectives& collectives) {
  const std::vector<double> flat = mine.Serialise();
  ASSIGN_OR_RETURN(const auto all,
                   collectives.AllGatherBytes(
                       {reinterpret_cast<const char*>(flat.data()), flat.size() * sizeof(double)}));
  model::BrierAccumulator joined;
  for (const std::string& bytes : all) {
    std::vector<double> values(bytes.size() / sizeof(double));
    std::copy_n(bytes.data(), bytes.size(), reinterpret_cast<char*>(values.data()));
    RETURN_IF_ERROR(joined.Merge(values));
  }
  return joined;
}

}  // namespace

std::string WhyNoScore(const pipeline::WindowLoader& windows) {
  return MessageOf(CheckWindows(windows, windows.packing().rule().chunk_size));
}

absl::StatusOr<LanguageModelScore> ScoreWindows(const pipeline::WindowLoader& windows,
                                                int64_t chunk_size,
                                                const LanguageModelOptions& options,
                                                cluster::Collectives& collectives,
                                                const ScoreWindow& score_window) {
  RETURN_IF_ERROR(CheckWindows(windows, chunk_size));
  const WindowRange range =
      options.range.value_or(WindowRange{0, windows.Windows(Split::kHeldout)});
  const uint64_t count = std::min<uint64_t>(options.windows, range.count);
  const uint64_t ranks = collectives.size();
  model::BrierAccumulator mine;
  std::map<std::string, ScoreTally::Mean> means;
  for (uint64_t turn = 0; turn * ranks < count; ++turn) {
    const uint64_t index = turn * ranks + collectives.rank();
    ASSIGN_OR_RETURN(const ScoreTally tally,
                     score_window(range.begin + std::min(index, count - 1) * range.count / count));
    const bool counts = index < count;
    if (counts) RETURN_IF_ERROR(mine.Merge(tally.brier.Serialise()));
    for (const auto& [name, mean] : tally.means) {
      means[name].sum += counts ? mean.sum : 0;
      means[name].count += counts ? mean.count : 0;
    }
  }
  std::vector<double> sums;
  for (const auto& [name, mean] : means) sums.insert(sums.end(), {mean.sum, mean.count});
  RETURN_IF_ERROR(collectives.AllReduceSum(sums));
  ASSIGN_OR_RETURN(const auto brier, JoinBrier(mine, collectives));

  LanguageModelScore score;
  size_t next = 0;
  for (const auto& [name, mean] : means) {
    score.terms[name] = sums[next] / std::max(sums[next + 1], 1.0);
    next += 2;
  }
  score.loss = score.terms.extract("loss").mapped();
  score.brier = brier.Compute(options.protocol, options.seed, options.bootstrap);
  score.windows = count;
  score.token_context = static_cast<uint64_t>(windows.window_chunks()) * chunk_size;
  return score;
}

}  // namespace halcyon::worker
