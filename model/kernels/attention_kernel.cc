#include "model/kernels/attention_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "model/kernels/row_lanes.h"

// One version of a function for processors with FMA; the loader picks.
#if defined(__x86_64__) && defined(__gnu_linux__)
#define HALCYON_FMA_CLONES __attribute__((target_clones("fma", "default")))
#else
#define HALCYON_FMA_CLONES
#endif

namespace halcyon::model {
namespace {

// A tile of a product: its sums fill the registers of AVX2.
constexpr int64_t kTileRows = 6, kTileColumns = kLanes;
// Queries that are worked on together; a multiple of both sides of a tile.
constexpr int64_t kQueries = 48;

// The left factor of a tile: element (r, k) lies at r * row + k * step.
struct LeftFactor {
  const float* values;
  int64_t row, step;
};

// out = or += left * panel; panel: [depth, kTileColumns]; rows of out are `stride` apart.
HALCYON_FMA_CLONES void MultiplyTile(LeftFactor left, const float* panel, int64_t depth, bool adds,
                                     float* out, int64_t stride) {
  Floats sums[kTileRows][2] = {};
  if (adds) {
    for (int64_t r = 0; r < kTileRows; ++r) {
      Load(out + r * stride, sums[r][0]);
      Load(out + r * stride + kFloats, sums[r][1]);
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Floats low, high;
    Load(panel + k * kTileColumns, low);
    Load(panel + k * kTileColumns + kFloats, high);
    const float* const column = left.values + k * left.step;
#pragma GCC unroll 6
    for (int64_t r = 0; r < kTileRows; ++r) {
      const float factor = column[r * left.row];
      sums[r][0] += factor * low;
      sums[r][1] += factor * high;
    }
  }
  for (int64_t r = 0; r < kTileRows; ++r) {
    Store(sums[r][0], out + r * stride);
    Store(sums[r][1], out + r * stride + kFloats);
  }
}

// Scores become probabilities of the first `count`; the rest of the row, zero.
HALCYON_VECTOR_CLONES void SoftmaxRow(int64_t count, int64_t width, float* row) {
  const float sum = ExponentialOfRow(LargestOf(row, count), count, row);
  const float factor = 1.0f / sum;
  for (int64_t i = 0; i < count; ++i) row[i] *= factor;
  std::fill(row + count, row + width, 0.0f);
}

// slopes: the gradient of the probabilities, which becomes that of the scores.
HALCYON_VECTOR_CLONES void SoftmaxRowBackward(const float* probabilities, int64_t count,
                                              int64_t width, float* slopes) {
  const float mean = SumOfProducts(probabilities, slopes, count);
  for (int64_t i = 0; i < count; ++i) slopes[i] = probabilities[i] * (slopes[i] - mean);
  std::fill(slopes + count, slopes + width, 0.0f);
}

HALCYON_VECTOR_CLONES void TurnRow(const float* in, const float* cosine, const float* sine,
                                   int64_t half, float direction, float scale,
                                   float* __restrict out) {
  for (int64_t i = 0; i < half; ++i) {
    const float a = in[i] * scale, b = in[half + i] * scale, s = direction * sine[i];
    out[i] = a * cosine[i] - b * s;
    out[half + i] = b * cosine[i] + a * s;
  }
}

// Element `i` of row `row` of a matrix in panels of kTileColumns columns, `rows` rows each.
int64_t PanelPlace(int64_t rows, int64_t row, int64_t i) {
  return (i / kTileColumns * rows + row) * kTileColumns + i % kTileColumns;
}

// One head of one sequence. Steps are padded to kQueries, widths to kTileColumns, with zeros.
class AttentionHead {
 public:
  AttentionHead(const AttentionInput& input, const AttentionShape& shape)
      : input_(input),
        shape_(shape),
        width_(2 * shape.half),
        columns_(PaddedTo(width_, kTileColumns)),
        steps_(PaddedTo(shape.steps, kQueries)),
        scale_(static_cast<float>(1.0 / std::sqrt(static_cast<double>(width_)))),
        turned_(columns_),
        keys_across_(steps_ * width_),
        values_(steps_ * columns_),
        queries_(kQueries * columns_),
        scores_(kQueries * steps_),
        rows_(kQueries * columns_) {}

  void Forward(int64_t sequence, int64_t head, float* out) {
    Begin(sequence, head);
    for (int64_t t = 0; t < shape_.steps; ++t) {
      PackAcross(TurnedKey(t), t, keys_across_);
      Pack(input_.value + RowPlace(t), steps_, t, values_);
    }
    for (first_ = 0; first_ < shape_.steps; first_ += kQueries) {
      BeginQueries();
      MakeProbabilities();
      TimesPanels(scores_, values_);
      for (int64_t r = 0; r < count_; ++r) {
        std::copy_n(&rows_[r * columns_], width_, out + RowPlace(first_ + r));
      }
    }
  }

  void Backward(int64_t sequence, int64_t head, const float* gradient,
                const AttentionGradients& to) {
    Begin(sequence, head);
    PrepareBackward();
    for (first_ = 0; first_ < shape_.steps; first_ += kQueries) {
      BeginQueries();
      MakeProbabilities();
      for (int64_t r = 0; r < count_; ++r) {
        const float* const row = gradient + RowPlace(first_ + r);
        std::copy_n(row, width_, &gradients_[r * columns_]);
        Pack(row, kQueries, r, gradient_panels_);
        Pack(&queries_[r * columns_], kQueries, r, query_panels_);
      }
      TimesKeys(gradients_, values_across_, slopes_);
      for (int64_t r = 0; r < tiles_ * kTileRows; ++r) {
        SoftmaxRowBackward(&scores_[r * steps_], r < count_ ? first_ + r + 1 : 0, first_ + kQueries,
                           &slopes_[r * steps_]);
      }
      TimesPanels(slopes_, key_panels_);
      for (int64_t r = 0; r < count_; ++r) {
        Turn(&rows_[r * columns_], first_ + r, -1, scale_, to.query + RowPlace(first_ + r));
      }
      AddAcross(scores_, gradient_panels_, of_values_);
      AddAcross(slopes_, query_panels_, of_keys_);
    }
    for (int64_t t = 0; t < shape_.steps; ++t) {
      Turn(&of_keys_[t * columns_], t, -1, 1, to.key + RowPlace(t));
      std::copy_n(&of_values_[t * columns_], width_, to.value + RowPlace(t));
    }
  }

 private:
  void Begin(int64_t sequence, int64_t head) {
    sequence_ = sequence;
    head_ = head;
  }

  int64_t RowPlace(int64_t step) const {
    return ((sequence_ * shape_.steps + step) * shape_.heads + head_) * width_;
  }

  void Turn(const float* in, int64_t step, float direction, float scale, float* out) const {
    const int64_t at = (sequence_ * shape_.steps + step) % shape_.angles * shape_.half;
    TurnRow(in, input_.cosine + at, input_.sine + at, shape_.half, direction, scale, out);
  }

  const float* TurnedKey(int64_t step) {
    Turn(input_.key + RowPlace(step), step, 1, 1, turned_.data());
    return turned_.data();
  }

  // Puts a row where it is one of a right factor of `rows` rows.
  void Pack(const float* row, int64_t rows, int64_t at, std::vector<float>& panels) const {
    for (int64_t i = 0; i < width_; i += kTileColumns) {
      std::copy_n(row + i, std::min(kTileColumns, width_ - i), &panels[PanelPlace(rows, at, i)]);
    }
  }

  // Puts a row where it is a column of a right factor of width_ rows.
  void PackAcross(const float* row, int64_t at, std::vector<float>& panels) const {
    float* const place = &panels[PanelPlace(width_, 0, at)];
    for (int64_t i = 0; i < width_; ++i) place[i * kTileColumns] = row[i];
  }

  void PrepareBackward() {
    for (auto* array : {&values_across_, &key_panels_, &slopes_, &of_keys_, &of_values_,
                        &gradients_, &gradient_panels_, &query_panels_}) {
      const bool is_of_queries =
          array == &gradients_ || array == &gradient_panels_ || array == &query_panels_;
      array->assign(is_of_queries              ? kQueries * columns_
                    : array == &slopes_        ? kQueries * steps_
                    : array == &values_across_ ? steps_ * width_
                                               : steps_ * columns_,
                    0.0f);
    }
    for (int64_t t = 0; t < shape_.steps; ++t) {
      const float* const key = TurnedKey(t);
      PackAcross(key, t, keys_across_);
      Pack(key, steps_, t, key_panels_);
      PackAcross(input_.value + RowPlace(t), t, values_across_);
    }
  }

  void BeginQueries() {
    count_ = std::min(kQueries, shape_.steps - first_);
    tiles_ = (count_ + kTileRows - 1) / kTileRows;
    std::fill(queries_.begin(), queries_.end(), 0.0f);
    for (int64_t r = 0; r < count_; ++r) {
      Turn(input_.query + RowPlace(first_ + r), first_ + r, 1, scale_, &queries_[r * columns_]);
    }
  }

  void MakeProbabilities() {
    TimesKeys(queries_, keys_across_, scores_);
    for (int64_t r = 0; r < tiles_ * kTileRows; ++r) {
      float* const row = &scores_[r * steps_];
      if (r < count_) {
        SoftmaxRow(first_ + r + 1, first_ + kQueries, row);
      } else {
        std::fill_n(row, first_ + kQueries, 0.0f);
      }
    }
  }

  // out [kQueries, steps_] = rows * the right factor, where a query's row may see the column.
  void TimesKeys(const std::vector<float>& rows, const std::vector<float>& across,
                 std::vector<float>& out) const {
    for (int64_t column = 0; column < first_ + count_; column += kTileColumns) {
      // The first tile whose last row reaches the column.
      const int64_t hidden = std::max<int64_t>(0, column - first_ - (kTileRows - 1));
      for (int64_t tile = (hidden + kTileRows - 1) / kTileRows; tile < tiles_; ++tile) {
        const int64_t row = tile * kTileRows;
        MultiplyTile({&rows[row * columns_], columns_, 1}, &across[column * width_], width_,
                     /*adds=*/false, &out[row * steps_ + column], steps_);
      }
    }
  }

  // rows_ = weights [kQueries, steps_] * panels [steps_, columns_].
  void TimesPanels(const std::vector<float>& weights, const std::vector<float>& panels) {
    for (int64_t column = 0; column < columns_; column += kTileColumns) {
      for (int64_t tile = 0; tile < tiles_; ++tile) {
        const int64_t row = tile * kTileRows, seen = first_ + row + kTileRows;
        MultiplyTile({&weights[row * steps_], steps_, 1}, &panels[column * steps_], seen,
                     /*adds=*/false, &rows_[row * columns_ + column], columns_);
      }
    }
  }

  // out [steps_, columns_] += weights^T * panels [kQueries, columns_].
  void AddAcross(const std::vector<float>& weights, const std::vector<float>& panels,
                 std::vector<float>& out) const {
    for (int64_t column = 0; column < columns_; column += kTileColumns) {
      for (int64_t row = 0; row < first_ + count_; row += kTileRows) {
        const int64_t hidden = std::max<int64_t>(0, row - first_);
        MultiplyTile({&weights[hidden * steps_ + row], 1, steps_},
                     &panels[column * kQueries + hidden * kTileColumns], count_ - hidden,
                     /*adds=*/true, &out[row * columns_ + column], columns_);
      }
    }
  }

  const AttentionInput& input_;
  const AttentionShape& shape_;
  const int64_t width_, columns_, steps_;
  const float scale_;
  int64_t sequence_ = 0, head_ = 0;
  int64_t first_ = 0, count_ = 0, tiles_ = 0;  // of the queries at hand

  std::vector<float> turned_;                          // a key
  std::vector<float> keys_across_;                     // right factor [width_, steps_]
  std::vector<float> values_;                          // right factor [steps_, columns_]
  std::vector<float> queries_;                         // [kQueries, columns_], scaled
  std::vector<float> scores_;                          // [kQueries, steps_]
  std::vector<float> rows_;                            // [kQueries, columns_]
  std::vector<float> values_across_, key_panels_;      // right factors, for the gradient
  std::vector<float> gradients_;                       // [kQueries, columns_], of the output
  std::vector<float> slopes_;                          // [kQueries, steps_], of the scores
  std::vector<float> gradient_panels_, query_panels_;  // right factors [kQueries, columns_]
  std::vector<float> of_keys_, of_values_;             // [steps_, columns_]
};

}  // namespace

void AttentionForward(const AttentionInput& input, const AttentionShape& shape, float* out) {
  at::parallel_for(0, shape.batch * shape.heads, 1, [&](int64_t begin, int64_t end) {
    AttentionHead head(input, shape);
    for (int64_t i = begin; i < end; ++i) head.Forward(i / shape.heads, i % shape.heads, out);
  });
}

void AttentionBackward(const AttentionInput& input, const AttentionShape& shape,
                       const float* gradient, const AttentionGradients& to) {
  at::parallel_for(0, shape.batch * shape.heads, 1, [&](int64_t begin, int64_t end) {
    AttentionHead head(input, shape);
    for (int64_t i = begin; i < end; ++i) {
      head.Backward(i / shape.heads, i % shape.heads, gradient, to);
    }
  });
}

}  // namespace halcyon::model
