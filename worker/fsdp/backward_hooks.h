// Places in autograd's backward pass where a unit must be told that its turn has come.
#ifndef HALCYON_WORKER_FSDP_BACKWARD_HOOKS_H_
#define HALCYON_WORKER_FSDP_BACKWARD_HOOKS_H_

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>

namespace torch::autograd {
struct Node;
}

namespace halcyon::worker {

class BackwardListener {
 public:
  virtual ~BackwardListener() = default;
  // Gradients are about to reach the unit's output: its parameters are needed.
  virtual void BeforeBackward() = 0;
  // One of the unit's parameters has its gradient of this pass.
  virtual void GradientAccumulated() = 0;
};

// `output` with a node in its history that calls BeforeBackward. REQUIRES: output.requires_grad();
// the listener outlives the graph.
at::Tensor GateBackward(const at::Tensor& output, BackwardListener* listener);

// Calls GradientAccumulated after each accumulation into `parameter`, a leaf, for as long as the
// result is kept. REQUIRES: the listener outlives the result.
std::shared_ptr<torch::autograd::Node> ListenToGradient(const at::Tensor& parameter,
                                                        BackwardListener* listener);

// forward(input) without keeping what its backward needs: the backward pass calls BeforeBackward,
// computes forward(input) again and differentiates that. `forward` must give the same bits again
// and capture what it uses by value.
at::Tensor RecomputeInBackward(const at::Tensor& input,
                               std::function<at::Tensor(const at::Tensor&)> forward,
                               BackwardListener* listener);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_FSDP_BACKWARD_HOOKS_H_
