// Texts that go on differently from places in one window: the window's keys and values are computed
// once, and each branch adds only its own steps.
#ifndef HALCYON_WORKER_SCORING_BRANCHES_H_
#define HALCYON_WORKER_SCORING_BRANCHES_H_

#include <cstdint>
#include <vector>

#include "model/backbone.h"

namespace halcyon::worker {

// One step after steps first ... context - 1 of the window and the steps of its ancestors.
struct Branch {
  int64_t context = 0;
  int64_t parent = -1;  // index among the branches of the step before; -1: it has no ancestors
  int64_t first = 0;
};

// Places branches. All branches are steps of one row of a batch, so that they share the
// window's cache: the mask of what each may attend to keeps them apart.
class BranchTree {
 public:
  // window_steps: length of the cache when the first branches are added.
  explicit BranchTree(int64_t window_steps) : window_steps_(window_steps), cached_(window_steps) {}

  // For running the branches' steps with the cache, which must hold the window and the branches
  // that were grown before, and nothing else.
  model::Placement Grow(const std::vector<Branch>& branches);

 private:
  int64_t window_steps_, cached_;
  // Of each branch of the last step: the places in the cache of its steps.
  std::vector<std::vector<int64_t>> lineages_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_SCORING_BRANCHES_H_
