#include "worker/scoring/branches.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/check.h"

namespace halcyon::worker {

model::Placement BranchTree::Grow(const std::vector<Branch>& branches) {
  const int64_t steps = static_cast<int64_t>(branches.size());
  const int64_t seen = cached_ + steps;
  model::Placement placement;
  placement.positions = at::empty({1, steps}, at::kLong);
  placement.visible = at::zeros({1, 1, steps, seen}, at::kBool);
  int64_t* positions = placement.positions.data_ptr<int64_t>();
  bool* visible = placement.visible.data_ptr<bool>();
  std::vector<std::vector<int64_t>> lineages;
  for (int64_t i = 0; i < steps; ++i, visible += seen) {
    const Branch& branch = branches[i];
    HALCYON_CHECK(branch.first <= branch.context && branch.context <= window_steps_ &&
                  branch.parent < static_cast<int64_t>(lineages_.size()));
    std::vector<int64_t>& lineage = lineages.emplace_back();
    if (branch.parent >= 0) lineage = lineages_[branch.parent];
    positions[i] = branch.context + static_cast<int64_t>(lineage.size());
    lineage.push_back(cached_ + i);
    std::fill(visible + branch.first, visible + branch.context, true);
    for (const int64_t place : lineage) visible[place] = true;
  }
  lineages_ = std::move(lineages);
  cached_ = seen;
  return placement;
}

}  // namespace halcyon::worker
