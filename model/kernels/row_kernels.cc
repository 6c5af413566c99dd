#include "model/kernels/row_kernels.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "model/kernels/row_lanes.h"

namespace halcyon::model {
namespace {

// Rows whose sums are made as one, whatever the number of threads.
constexpr int64_t kBlockRows = 32;
// What a thread of its own is worth.
constexpr int64_t kNumbersPerThread = 1 << 14;

int64_t GrainOf(int64_t numbers) { return std::max<int64_t>(1, kNumbersPerThread / numbers); }

template <typename Work>
void ForBlocks(int64_t count, int64_t width, const Work& work) {
  const int64_t blocks = (count + kBlockRows - 1) / kBlockRows;
  at::parallel_for(0, blocks, GrainOf(kBlockRows * width), [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      work(block, block * kBlockRows, std::min(count, (block + 1) * kBlockRows));
    }
  });
}

HALCYON_VECTOR_CLONES void NormRow(const float* row, const float* weight, int64_t width,
                                   double epsilon, float* normed, float* scale) {
  const double mean = static_cast<double>(SumOfProducts(row, row, width)) / width;
  const float factor = static_cast<float>(1.0 / std::sqrt(mean + epsilon));
  for (int64_t i = 0; i < width; ++i) normed[i] = row[i] * factor * weight[i];
  *scale = factor;
}

// With y = x s w: dx = s (g w - x s^2 mean(g w x)), dw = sum over rows of g x s.
HALCYON_VECTOR_CLONES void NormRowBackward(const float* row, const float* weight, float scale,
                                           const float* gradient, int64_t width,
                                           float* __restrict out,
                                           float* __restrict weight_gradient) {
  for (int64_t i = 0; i < width; ++i) {
    weight_gradient[i] += gradient[i] * row[i] * scale;
    out[i] = gradient[i] * weight[i];
  }
  const float mean = SumOfProducts(out, row, width) / static_cast<float>(width);
  const float pull = mean * scale * scale;
  for (int64_t i = 0; i < width; ++i) out[i] = scale * (out[i] - row[i] * pull);
}

HALCYON_LANES_INLINE void Sigmoid(const Floats& x, Floats& out) {
  out = -x;
  Exponential(out);
  out = 1.0f / (1.0f + out);
}

HALCYON_VECTOR_CLONES void GateRow(const float* gate, const float* value, int64_t width,
                                   float* out) {
  Floats g, v, s;
  for (int64_t i = 0; i < width; i += kFloats) {
    const int64_t left = width - i;
    LoadSome(gate + i, left, 0, g);
    LoadSome(value + i, left, 0, v);
    Sigmoid(g, s);
    StoreSome(g * s * v, left, out + i);
  }
}

// silu'(g) = s + g s (1 - s) with s = sigmoid(g).
HALCYON_VECTOR_CLONES void GateRowBackward(const float* gate, const float* value,
                                           const float* gradient, int64_t width,
                                           float* gate_gradient, float* value_gradient,
                                           float* out) {
  Floats g, v, d, s;
  for (int64_t i = 0; i < width; i += kFloats) {
    const int64_t left = width - i;
    LoadSome(gate + i, left, 0, g);
    LoadSome(value + i, left, 0, v);
    LoadSome(gradient + i, left, 0, d);
    Sigmoid(g, s);
    const Floats silu = g * s;
    StoreSome(d * v * (s + silu * (1.0f - s)), left, gate_gradient + i);
    StoreSome(d * silu, left, value_gradient + i);
    StoreSome(silu * v, left, out + i);
  }
}

HALCYON_VECTOR_CLONES void RotateHead(const float* in, const float* cosine, const float* sine,
                                      int64_t half, float direction, float* __restrict out) {
  for (int64_t i = 0; i < half; ++i) {
    const float a = in[i], b = in[half + i], s = direction * sine[i];
    out[i] = a * cosine[i] - b * s;
    out[half + i] = b * cosine[i] + a * s;
  }
}

HALCYON_VECTOR_CLONES void CrossEntropyRow(int64_t label, float weight, int64_t width,
                                           bool with_gradient, float* row, float* loss,
                                           float* correct) {
  const float largest = LargestOf(row, width), own = row[label];
  int64_t first = 0;
  while (first < label && row[first] != largest) ++first;
  *correct = own == largest && first == label ? 1.0f : 0.0f;
  const float sum = ExponentialOfRow(largest, width, row);
  *loss = std::log(sum) + (largest - own);
  if (!with_gradient) return;
  const float factor = weight / sum;
  for (int64_t i = 0; i < width; ++i) row[i] *= factor;
  row[label] -= weight;
}

HALCYON_VECTOR_CLONES void AddRow(const float* from, int64_t width, float* __restrict to) {
  for (int64_t i = 0; i < width; ++i) to[i] += from[i];
}

}  // namespace

void RmsNormForward(const float* rows, const float* weight, Rows shape, double epsilon,
                    float* normed, float* scale) {
  ForBlocks(shape.count, shape.width, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = r * shape.width;
      NormRow(rows + at, weight, shape.width, epsilon, normed + at, scale + r);
    }
  });
}

void RmsNormBackward(const float* rows, const float* weight, const float* scale,
                     const float* gradient, Rows shape, float* rows_gradient,
                     float* weight_gradient) {
  const int64_t blocks = (shape.count + kBlockRows - 1) / kBlockRows;
  std::vector<float> sums(blocks * shape.width, 0.0f);
  ForBlocks(shape.count, shape.width, [&](int64_t block, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = r * shape.width;
      NormRowBackward(rows + at, weight, scale[r], gradient + at, shape.width, rows_gradient + at,
                      &sums[block * shape.width]);
    }
  });
  std::fill_n(weight_gradient, shape.width, 0.0f);
  for (int64_t block = 0; block < blocks; ++block) {
    AddRow(&sums[block * shape.width], shape.width, weight_gradient);
  }
}

void GatedForward(const float* gate, const float* value, Rows shape, int64_t stride, float* out) {
  ForBlocks(shape.count, shape.width, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      GateRow(gate + r * stride, value + r * stride, shape.width, out + r * shape.width);
    }
  });
}

void GatedBackward(const float* gate, const float* value, const float* gradient, Rows shape,
                   int64_t stride, float* gate_gradient, float* value_gradient, float* out) {
  ForBlocks(shape.count, shape.width, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = r * stride, dense = r * shape.width;
      GateRowBackward(gate + at, value + at, gradient + dense, shape.width, gate_gradient + at,
                      value_gradient + at, out + dense);
    }
  });
}

void RotateHeads(const float* in, const float* cosine, const float* sine, Heads shape,
                 float direction, float* out) {
  ForBlocks(shape.count, 2 * shape.heads * shape.half, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t angles = r % shape.table * shape.half;
      for (int64_t h = 0; h < shape.heads; ++h) {
        const int64_t at = (r * shape.heads + h) * 2 * shape.half;
        RotateHead(in + at, cosine + angles, sine + angles, shape.half, direction, out + at);
      }
    }
  });
}

void CrossEntropyRows(const Labelled& targets, Rows shape, bool with_gradient, float* logits,
                      float* losses, float* correct) {
  at::parallel_for(0, shape.count, GrainOf(shape.width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      CrossEntropyRow(targets.labels[r], targets.weights[r], shape.width, with_gradient,
                      logits + r * shape.width, losses + r, correct + r);
    }
  });
}

}  // namespace halcyon::model
