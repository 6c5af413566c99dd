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

template <typename T>
HALCYON_LANES_INLINE void NormRowAs(const float* row, const float* weight, int64_t width,
                                    double epsilon, T* normed, float* scale) {
  const double mean = static_cast<double>(SumOfProducts(row, row, width)) / width;
  const float factor = static_cast<float>(1.0 / std::sqrt(mean + epsilon));
  Floats x, w;
  for (int64_t i = 0; i < width; i += kFloats) {
    LoadSome(row + i, width - i, 0, x);
    LoadSome(weight + i, width - i, 0, w);
    StoreSome(x * factor * w, width - i, normed + i);
  }
  *scale = factor;
}
HALCYON_VECTOR_CLONES void NormRow(const float* row, const float* weight, int64_t width,
                                   double epsilon, float* normed, float* scale) {
  NormRowAs(row, weight, width, epsilon, normed, scale);
}
HALCYON_VECTOR_CLONES void NormRow(const float* row, const float* weight, int64_t width,
                                   double epsilon, c10::BFloat16* normed, float* scale) {
  NormRowAs(row, weight, width, epsilon, normed, scale);
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

template <typename T>
HALCYON_LANES_INLINE void GateRowAs(const T* gate, const T* value, int64_t width, T* out) {
  Floats g, v, s;
  for (int64_t i = 0; i < width; i += kFloats) {
    const int64_t left = width - i;
    LoadSome(gate + i, left, 0, g);
    LoadSome(value + i, left, 0, v);
    Sigmoid(g, s);
    StoreSome(g * s * v, left, out + i);
  }
}
HALCYON_VECTOR_CLONES void GateRow(const float* gate, const float* value, int64_t width,
                                   float* out) {
  GateRowAs(gate, value, width, out);
}
HALCYON_VECTOR_CLONES void GateRow(const c10::BFloat16* gate, const c10::BFloat16* value,
                                   int64_t width, c10::BFloat16* out) {
  GateRowAs(gate, value, width, out);
}

// What a row's gradient is made from, and where it goes.
template <typename T>
struct GateRows {
  const T *gate, *value, *gradient;
  T *of_gate, *of_value, *out;
};

// silu'(g) = s + g s (1 - s) with s = sigmoid(g).
template <typename T>
HALCYON_LANES_INLINE void GateRowBackwardAs(const GateRows<T>& rows, int64_t width) {
  Floats g, v, d, s;
  for (int64_t i = 0; i < width; i += kFloats) {
    const int64_t left = width - i;
    LoadSome(rows.gate + i, left, 0, g);
    LoadSome(rows.value + i, left, 0, v);
    LoadSome(rows.gradient + i, left, 0, d);
    Sigmoid(g, s);
    const Floats silu = g * s;
    StoreSome(d * v * (s + silu * (1.0f - s)), left, rows.of_gate + i);
    StoreSome(d * silu, left, rows.of_value + i);
    StoreSome(silu * v, left, rows.out + i);
  }
}
HALCYON_VECTOR_CLONES void GateRowBackward(const GateRows<float>& rows, int64_t width) {
  GateRowBackwardAs(rows, width);
}
HALCYON_VECTOR_CLONES void GateRowBackward(const GateRows<c10::BFloat16>& rows, int64_t width) {
  GateRowBackwardAs(rows, width);
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

HALCYON_VECTOR_CLONES void AddRow(const c10::BFloat16* from, int64_t width, float* to) {
  Floats change, sum;
  for (int64_t i = 0; i < width; i += kFloats) {
    LoadSome(from + i, width - i, 0, change);
    LoadSome(to + i, width - i, 0, sum);
    StoreSome(sum + change, width - i, to + i);
  }
}

HALCYON_VECTOR_CLONES void ConvertRow(const c10::BFloat16* from, int64_t width, float* to) {
  Convert(from, width, to);
}
HALCYON_VECTOR_CLONES void ConvertRow(const float* from, int64_t width, c10::BFloat16* to) {
  Convert(from, width, to);
}

// The row as floats, and back.
struct FloatRow {
  float* Of(float* row, int64_t) { return row; }
  float* Of(const c10::BFloat16* row, int64_t width) {
    numbers.resize(width);
    ConvertRow(row, width, numbers.data());
    return numbers.data();
  }
  void Return(float*, int64_t) {}
  void Return(c10::BFloat16* row, int64_t width) { ConvertRow(numbers.data(), width, row); }

  std::vector<float> numbers;
};

}  // namespace

template <typename T>
void RmsNormForward(const float* rows, const float* weight, Rows shape, double epsilon, T* normed,
                    float* scale) {
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

template <typename T>
void GatedForward(const T* gate, const T* value, Rows shape, int64_t stride, T* out) {
  ForBlocks(shape.count, shape.width, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      GateRow(gate + r * stride, value + r * stride, shape.width, out + r * shape.width);
    }
  });
}

template <typename T>
void GatedBackward(const T* gate, const T* value, const T* gradient, Rows shape, int64_t stride,
                   T* gate_gradient, T* value_gradient, T* out) {
  ForBlocks(shape.count, shape.width, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = r * stride, dense = r * shape.width;
      const GateRows<T> rows = {gate + at,          value + at,          gradient + dense,
                                gate_gradient + at, value_gradient + at, out + dense};
      GateRowBackward(rows, shape.width);
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

template <typename T>
void CrossEntropyRows(const Labelled& targets, Rows shape, bool with_gradient, T* logits,
                      float* losses, float* correct) {
  at::parallel_for(0, shape.count, GrainOf(shape.width), [&](int64_t begin, int64_t end) {
    FloatRow floats;
    for (int64_t r = begin; r < end; ++r) {
      T* const row = logits + r * shape.width;
      CrossEntropyRow(targets.labels[r], targets.weights[r], shape.width, with_gradient,
                      floats.Of(row, shape.width), losses + r, correct + r);
      if (with_gradient) floats.Return(row, shape.width);
    }
  });
}

void AddRows(const c10::BFloat16* from, Rows shape, float* to) {
  ForBlocks(shape.count, shape.width, [&](int64_t, int64_t begin, int64_t end) {
    AddRow(from + begin * shape.width, (end - begin) * shape.width, to + begin * shape.width);
  });
}

template void RmsNormForward(const float*, const float*, Rows, double, float*, float*);
template void RmsNormForward(const float*, const float*, Rows, double, c10::BFloat16*, float*);
template void GatedForward(const float*, const float*, Rows, int64_t, float*);
template void GatedForward(const c10::BFloat16*, const c10::BFloat16*, Rows, int64_t,
                           c10::BFloat16*);
template void GatedBackward(const float*, const float*, const float*, Rows, int64_t, float*, float*,
                            float*);
template void GatedBackward(const c10::BFloat16*, const c10::BFloat16*, const c10::BFloat16*, Rows,
                            int64_t, c10::BFloat16*, c10::BFloat16*, c10::BFloat16*);
template void CrossEntropyRows(const Labelled&, Rows, bool, float*, float*, float*);
template void CrossEntropyRows(const Labelled&, Rows, bool, c10::BFloat16*, float*, float*);

}  // namespace halcyon::model
