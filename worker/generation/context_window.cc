#include "worker/generation/context_window.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/check.h"
#include "model/to_device.h"

namespace halcyon::worker {
namespace {

// Columns encoded at a time, which bounds the network's outputs (logits, for one).
constexpr int64_t kColumnsMax = 256;

}  // namespace

ContextWindow::ContextWindow(int64_t step_size, int64_t steps_max, Encode encode)
    : step_size_(step_size), steps_max_(std::max<int64_t>(1, steps_max)), encode_(encode) {}

void ContextWindow::KeepLastSteps(Tokens* context, int64_t steps) const {
  if (Steps(*context) <= steps) return;
  context->erase(context->begin(), context->end() - steps * step_size_);
}

void ContextWindow::Begin(std::vector<Tokens> contexts) {
  contexts_ = std::move(contexts);
  columns_ = 0;
  for (Tokens& context : contexts_) {
    HALCYON_CHECK(!context.empty() && context.size() % step_size_ == 0);
    KeepLastSteps(&context, steps_max_);
    columns_ = std::max(columns_, Steps(context));
  }
  cache_ = {};
  last_.reset();
}

void ContextWindow::Append(std::span<const Tokens> steps) {
  HALCYON_CHECK(steps.size() == contexts_.size());
  bool is_cut = false;
  for (size_t row = 0; row < contexts_.size(); ++row) {
    Tokens& context = contexts_[row];
    context.insert(context.end(), steps[row].begin(), steps[row].end());
    if (Steps(context) <= steps_max_) continue;
    KeepLastSteps(&context, std::max<int64_t>(1, steps_max_ / 2));
    is_cut = true;
  }
  if (is_cut) {
    Begin(std::move(contexts_));
  } else {
    ++columns_;
    last_.reset();
  }
}

void ContextWindow::Keep(const std::vector<int64_t>& rows) {
  std::vector<Tokens> kept;
  for (const int64_t row : rows) kept.push_back(std::move(contexts_[row]));
  contexts_ = std::move(kept);
  const at::Tensor index = at::tensor(rows, at::kLong);
  cache_.Select(index);
  if (last_.defined()) last_ = last_.index_select(0, model::ToDevice(index, last_.device()));
}

const at::Tensor& ContextWindow::Last() {
  while (!last_.defined() || cache_.length() < columns_) {
    EncodeColumns(std::min(kColumnsMax, columns_ - cache_.length()));
  }
  return last_;
}

// Encodes the next `count` columns after those in the cache.
void ContextWindow::EncodeColumns(int64_t count) {
  const auto batch = static_cast<int64_t>(contexts_.size());
  const int64_t first = cache_.length(), end = first + count;
  const at::Tensor tokens = at::zeros({batch, count, step_size_}, at::kLong);
  const at::Tensor padding = at::empty({batch, 1}, at::kLong);
  for (int64_t row = 0; row < batch; ++row) {
    const int64_t pads = columns_ - Steps(contexts_[row]), begin = std::max(first, pads);
    padding.data_ptr<int64_t>()[row] = pads;
    if (begin >= end) continue;
    std::copy_n(contexts_[row].begin() + (begin - pads) * step_size_, (end - begin) * step_size_,
                tokens.data_ptr<int64_t>() + (row * count + begin - first) * step_size_);
  }
  model::Placement placement;
  const bool is_padded = padding.max().item<int64_t>() > 0;
  if (is_padded) {
    const at::Tensor all = at::arange(end).unsqueeze(0), fresh = all.narrow(1, first, count);
    placement.positions = (fresh - padding).clamp_min(0);
    // A step of padding attends to itself, since attention to nothing is not a number.
    const at::Tensor query = fresh.unsqueeze(2), key = all.unsqueeze(1);
    const at::Tensor is_context = (key >= padding.unsqueeze(2)).logical_and(key <= query);
    placement.visible = is_context.logical_or(key == query).unsqueeze(1);
  }
  const at::Tensor encoded = encode_(tokens, is_padded ? &placement : nullptr, &cache_);
  last_ = encoded.select(1, count - 1);
}

}  // namespace halcyon::worker
