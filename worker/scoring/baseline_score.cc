#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "model/noise.h"
#include "model/to_device.h"
#include "worker/inputs/window_tensors.h"
#include "worker/scoring/branches.h"
#include "worker/scoring/evaluation_noise.h"
#include "worker/scoring/language_model_score.h"
#include "worker/scoring/rollout.h"
#include "worker/scoring/score_tally.h"

namespace halcyon::worker {
namespace {

using model::BrierOrders;
using model::BrierProtocol;
using model::kBrierOrders;
using pipeline::Split;

// Logits that exist at a time, about; also bounds the attention's mask.
constexpr int64_t kLogitsMax = 16 << 20;
constexpr int64_t kStepsMax = 2048;

// What is known of the n-grams that start after the first `start` tokens of the window.
struct Path {
  int64_t start = 0;
  int64_t first = 0;  // what they see begins there
  int64_t token = 0;  // the one that was drawn last
  double weight = 1;  // what the next collision of a single token is multiplied by
  BrierOrders collision{};
};

// Indices of `weights` [rows, V], each with a probability in proportion to its weight; uniform:
// [rows].
at::Tensor DrawIndices(const at::Tensor& weights, const at::Tensor& uniform) {
  const at::Tensor cumulative = weights.cumsum(1);
  const at::Tensor total = cumulative.narrow(1, weights.size(1) - 1, 1);
  const at::Tensor wanted = uniform.to(at::kDouble).unsqueeze(1) * total;
  return at::searchsorted(cumulative, wanted, /*out_int32=*/false, /*right=*/true)
      .squeeze(1)
      .clamp_max(weights.size(1) - 1);
}

class BaselineWindow {
 public:
  BaselineWindow(model::BaselineModel& model, const WindowTensors& data, uint64_t window,
                 const LanguageModelOptions& options)
      : model_(model),
        tokens_(data.tokens.flatten(1)),
        window_(window),
        options_(options),
        block_(std::clamp<int64_t>(kLogitsMax / model.vocab_size(), 1, kStepsMax)) {
    const int64_t chunks = data.tokens.size(1), chunk_size = data.tokens.size(2);
    first_visible_ = PlacementOf(data.first_visible, chunks * chunk_size, chunk_size).first_visible;
    for (int64_t c = 1; c + ChunksOfGram(chunk_size) <= chunks; ++c) {
      const int64_t start = c * chunk_size;
      paths_.push_back({.start = start, .first = FirstVisible(start)});
    }
  }

  void Run() {
    RunText();
    for (size_t first = 0; first < paths_.size(); first += static_cast<size_t>(block_)) {
      RunPaths(std::span(paths_).subspan(
          first, std::min(static_cast<size_t>(block_), paths_.size() - first)));
    }
  }

  // Of token i + 1 given tokens 0 ... i.
  const std::vector<float>& log_probabilities() const { return log_probabilities_; }
  const std::vector<Path>& paths() const { return paths_; }

  BrierOrders Accuracy(const Path& path) const {
    BrierOrders accuracy{};
    double sum = 0;
    for (int n = 0; n < kBrierOrders; ++n) {
      sum += log_probabilities_[path.start - 1 + n];
      accuracy[n] = std::exp(sum);
    }
    return accuracy;
  }

 private:
  // The window itself; leaves its keys and values in the cache.
  void RunText() {
    const int64_t steps = tokens_.size(1) - 1;
    auto path = paths_.begin();
    for (int64_t first = 0; first < steps; first += block_) {
      const int64_t count = std::min(block_, steps - first);
      model::Placement placement;
      if (first_visible_.defined()) {
        placement.first_visible = first_visible_.narrow(1, first, count);
      }
      const at::Tensor logits =
          model_.Logits(tokens_.narrow(1, first, count), &placement, &cache_).squeeze(0);
      const at::Tensor next =
          model::ToDevice(tokens_.narrow(1, first + 1, count).view({-1, 1}), logits.device());
      const at::Tensor of_text = at::log_softmax(logits, 1).gather(1, next).cpu().contiguous();
      const float* values = of_text.const_data_ptr<float>();
      log_probabilities_.insert(log_probabilities_.end(), values, values + count);
      std::vector<int64_t> rows;
      const auto from = path;
      for (; path != paths_.end() && path->start - 1 < first + count; ++path) {
        rows.push_back(path->start - 1 - first);
      }
      if (rows.empty()) continue;
      Observe(0, {from, path},
              logits.index_select(0, model::ToDevice(at::tensor(rows), logits.device())));
    }
  }

  void RunPaths(std::span<Path> paths) {
    const int64_t window_steps = cache_.length();
    BranchTree tree(window_steps);
    for (int order = 1; order < kBrierOrders; ++order) {
      std::vector<Branch> branches;
      std::vector<int64_t> ids;
      for (const Path& path : paths) {
        branches.push_back(
            {path.start, order == 1 ? -1 : static_cast<int64_t>(ids.size()), path.first});
        ids.push_back(path.token);
      }
      const model::Placement placement = tree.Grow(branches);
      const at::Tensor logits =
          model_.Logits(at::tensor(ids).unsqueeze(0), &placement, &cache_).squeeze(0);
      Observe(order, paths, logits);
    }
    cache_.Truncate(window_steps);
  }

  // logits [paths, V] of each path's next token: notes the collision and draws the token.
  void Observe(int order, std::span<Path> paths, const at::Tensor& logits) {
    model::NoiseRows noise{options_.seed,
                           NoiseStream::kEvaluation,
                           kRollOut + kBrierOrders * window_ + static_cast<uint64_t>(order),
                           {}};
    for (const Path& path : paths) noise.rows.push_back(static_cast<uint64_t>(path.start));
    const at::Tensor uniform = noise.Uniform({2}, logits.device());
    const at::Tensor probabilities = at::softmax(logits.to(at::kDouble), 1);
    const at::Tensor squares = probabilities.square();
    const bool pairwise = options_.protocol == BrierProtocol::kPairwise;
    const at::Tensor collisions = squares.sum(1).cpu();
    const at::Tensor drawn =
        DrawIndices(pairwise ? squares : probabilities, uniform.select(1, 0)).cpu();
    const at::Tensor others =
        pairwise ? drawn : DrawIndices(probabilities, uniform.select(1, 1)).cpu();
    const double* collision = collisions.const_data_ptr<double>();
    for (size_t i = 0; i < paths.size(); ++i) {
      Path& path = paths[i];
      path.collision[order] = path.weight * collision[i];
      path.token = drawn.const_data_ptr<int64_t>()[i];
      const bool equal = others.const_data_ptr<int64_t>()[i] == path.token;
      path.weight *= pairwise ? collision[i] : equal;
    }
  }

  int64_t FirstVisible(int64_t token) const {
    return first_visible_.defined() ? first_visible_.const_data_ptr<int64_t>()[token] : 0;
  }

  model::BaselineModel& model_;
  at::Tensor tokens_;         // [1, T * K]
  at::Tensor first_visible_;  // the same; undefined without a document mask
  uint64_t window_;
  const LanguageModelOptions& options_;
  int64_t block_;  // steps a pass
  model::BackboneCache cache_;
  std::vector<float> log_probabilities_;
  std::vector<Path> paths_;
};

}  // namespace

absl::StatusOr<LanguageModelScore> ScoreBaseline(model::BaselineModel& model,
                                                 const pipeline::WindowLoader& windows,
                                                 const LanguageModelOptions& options,
                                                 cluster::Collectives& collectives) {
  c10::NoGradGuard no_grad;
  const pipeline::PackingRule& rule = windows.packing().rule();
  const int64_t chunk_size = rule.chunk_size;
  const auto score_window = [&](uint64_t window) -> absl::StatusOr<ScoreTally> {
    ASSIGN_OR_RETURN(const WindowTensors data,
                     LoadWindows(windows, Split::kHeldout, {window}, model.spec().document_mask));
    BaselineWindow scored(model, data, window, options);
    scored.Run();
    ScoreTally tally;
    ScoreTally::Mean& loss = tally.means["loss"];
    ScoreTally::Mean& cross_entropy = tally.means["cross_entropy"];
    const int64_t* tokens = data.tokens.const_data_ptr<int64_t>();
    for (size_t i = 0; i < scored.log_probabilities().size(); ++i) {
      const double nats = -scored.log_probabilities()[i];
      loss.sum += nats;
      loss.count += 1;
      const auto next = static_cast<int64_t>(i) + 1;
      if (next < chunk_size || tokens[next] == static_cast<int64_t>(rule.padding)) continue;
      cross_entropy.sum += nats;
      cross_entropy.count += 1;
    }
    ASSIGN_OR_RETURN(const std::vector<uint64_t> documents,
                     windows.Documents(Split::kHeldout, window));
    for (const Path& path : scored.paths()) {
      tally.brier.AddValues(scored.Accuracy(path), path.collision,
                            documents[path.start / chunk_size]);
    }
    return tally;
  };
  return ScoreWindows(windows, chunk_size, options, collectives, score_window);
}

}  // namespace halcyon::worker
