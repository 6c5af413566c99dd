#include "worker/scoring/rollout.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <vector>

#include "model/brier.h"
#include "model/noise.h"
#include "model/to_device.h"
#include "worker/scoring/branches.h"
#include "worker/scoring/evaluation_noise.h"

namespace halcyon::worker {
namespace {

using model::kBrierOrders;

// Draws continued together: bounds the attention's mask and scores.
constexpr int64_t kBlockDraws = 2048;

using Ids = std::vector<int64_t>;

// Draws of one place that are equal so far: they share one branch.
struct Group {
  int64_t place;
  Ids tokens;                    // from the first chunk on
  std::vector<int64_t> members;  // which draws
  int64_t branch = -1;           // of the last step
};

// Rolls the draws of a block of places out.
class RolloutBlock {
 public:
  RolloutBlock(model::CalmModel& model, model::Autoencoder& autoencoder,
               model::BackboneCache& cache, const at::Tensor& tokens,
               const at::Tensor& first_visible, const RollOutKey& key)
      : model_(model),
        autoencoder_(autoencoder),
        cache_(cache),
        text_(tokens.const_data_ptr<int64_t>()),
        first_visible_(first_visible.defined() ? first_visible.const_data_ptr<int64_t>() : nullptr),
        chunk_size_(tokens.size(2)),
        key_(key) {}

  // draws: [places, N, K] of the places from `first` on; grams: [places, N, 4].
  void Run(int64_t first, const at::Tensor& draws, at::Tensor grams) {
    const int64_t window_steps = cache_.length();
    samples_ = draws.size(1);
    BranchTree tree(window_steps);
    std::vector<Group> groups = FirstGroups(first, draws);
    int64_t* out = grams.data_ptr<int64_t>();
    const auto write = [&](const Group& group, bool ends) {
      for (const int64_t member : group.members) {
        int64_t* gram = out + ((group.place - first) * samples_ + member) * kBrierOrders;
        const int64_t known = std::min<int64_t>(group.tokens.size(), kBrierOrders);
        std::copy_n(group.tokens.begin(), known, gram);
        if (ends) std::fill(gram + known, gram + kBrierOrders, -1 - member);
      }
    };
    for (int64_t chunk = 1; chunk < ChunksOfGram(chunk_size_); ++chunk) {
      std::vector<Group> kept;
      for (Group& group : groups) {
        if (group.members.size() > 1 || IsText(group)) {
          kept.push_back(std::move(group));
        } else {
          write(group, /*ends=*/true);
        }
      }
      groups = Continue(tree, kept, chunk);
    }
    for (const Group& group : groups) write(group, /*ends=*/false);
    cache_.Truncate(window_steps);
  }

 private:
  bool IsText(const Group& group) const {
    return std::equal(group.tokens.begin(), group.tokens.end(),
                      text_ + (group.place + 1) * chunk_size_);
  }

  std::vector<Group> FirstGroups(int64_t first, const at::Tensor& draws) const {
    const int64_t* ids = draws.const_data_ptr<int64_t>();
    std::vector<Group> groups;
    for (int64_t p = 0; p < draws.size(0); ++p) {
      std::map<Ids, std::vector<int64_t>> members;
      for (int64_t i = 0; i < samples_; ++i, ids += chunk_size_) {
        members[Ids(ids, ids + chunk_size_)].push_back(i);
      }
      for (auto& [tokens, who] : members) groups.push_back({first + p, tokens, std::move(who)});
    }
    return groups;
  }

  // One more chunk for every member of every group.
  std::vector<Group> Continue(BranchTree& tree, const std::vector<Group>& groups, int64_t chunk) {
    const at::Tensor hidden = Hidden(tree, groups);
    std::vector<int64_t> branch_of_row;
    model::NoiseRows noise{key_.seed,
                           NoiseStream::kEvaluation,
                           kRollOut + kBrierOrders * key_.window + static_cast<uint64_t>(chunk),
                           {}};
    for (size_t branch = 0; branch < groups.size(); ++branch) {
      for (const int64_t member : groups[branch].members) {
        branch_of_row.push_back(static_cast<int64_t>(branch));
        noise.rows.push_back(static_cast<uint64_t>(groups[branch].place * samples_ + member));
      }
    }
    // With nothing to continue the head is called all the same, as on other ranks.
    if (branch_of_row.empty()) {
      branch_of_row.push_back(0);
      noise.rows.push_back(0);
    }
    const at::Tensor index = model::ToDevice(at::tensor(branch_of_row), hidden.device());
    const at::Tensor of_rows = hidden.index_select(0, index).unsqueeze(1);
    const at::Tensor latents = model_.Sample(of_rows, 0, 1, noise).flatten(0, 2);
    const at::Tensor drawn = autoencoder_.DecodeTokens(latents).cpu();
    std::vector<Group> next;
    const int64_t* ids = drawn.const_data_ptr<int64_t>();
    for (size_t branch = 0; branch < groups.size(); ++branch) {
      std::map<Ids, std::vector<int64_t>> members;
      for (const int64_t member : groups[branch].members) {
        members[Ids(ids, ids + chunk_size_)].push_back(member);
        ids += chunk_size_;
      }
      for (auto& [tokens, who] : members) {
        Group group{groups[branch].place, groups[branch].tokens, std::move(who),
                    static_cast<int64_t>(branch)};
        group.tokens.insert(group.tokens.end(), tokens.begin(), tokens.end());
        next.push_back(std::move(group));
      }
    }
    return next;
  }

  // [groups, hidden] after each group's last chunk; one row of no group when there is none.
  at::Tensor Hidden(BranchTree& tree, const std::vector<Group>& groups) {
    std::vector<Branch> branches;
    Ids ids;
    for (const Group& group : groups) {
      const int64_t context = group.place + 1;
      branches.push_back(
          {context, group.branch, first_visible_ == nullptr ? 0 : first_visible_[context]});
      ids.insert(ids.end(), group.tokens.end() - chunk_size_, group.tokens.end());
    }
    if (groups.empty()) {
      branches.push_back({});
      ids.assign(chunk_size_, 0);
    }
    const at::Tensor tokens = at::tensor(ids).view({1, -1, chunk_size_});
    at::Tensor latents;
    if (model_.SeesLatents()) latents = autoencoder_.Encode(tokens[0]).mean.unsqueeze(0);
    const model::Placement placement = tree.Grow(branches);
    return model_.Backbone(tokens, latents, &placement, &cache_).squeeze(0);
  }

  model::CalmModel& model_;
  model::Autoencoder& autoencoder_;
  model::BackboneCache& cache_;
  const int64_t* text_;
  const int64_t* first_visible_;
  int64_t chunk_size_;
  RollOutKey key_;
  int64_t samples_ = 0;
};

}  // namespace

int64_t ChunksOfGram(int64_t chunk_size) { return (kBrierOrders + chunk_size - 1) / chunk_size; }

at::Tensor RollOut(model::CalmModel& model, model::Autoencoder& autoencoder,
                   model::BackboneCache& cache, const at::Tensor& tokens,
                   const at::Tensor& first_visible, const at::Tensor& draws,
                   const RollOutKey& key) {
  const int64_t places = draws.size(0), samples = draws.size(1);
  const int64_t at_once = std::max<int64_t>(1, kBlockDraws / samples);
  const at::Tensor grams = at::empty({places, samples, kBrierOrders}, at::kLong);
  RolloutBlock block(model, autoencoder, cache, tokens, first_visible, key);
  for (int64_t first = 0; first < places; first += at_once) {
    const int64_t count = std::min(at_once, places - first);
    block.Run(first, draws.narrow(0, first, count), grams.narrow(0, first, count));
  }
  return grams;
}

}  // namespace halcyon::worker
