#include "model/kernels/attention_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "model/kernels/row_lanes.h"
#include "model/kernels/tile_product.h"

namespace halcyon::model {
namespace {

// Queries that are worked on together; a multiple of both sides of a tile.
constexpr int64_t kQueries = 48;

// How far rows are fetched ahead.
constexpr int64_t kRowsAhead = 8;

// Scores begin ... end - 1 become probabilities; the rest of the row, zero.
HALCYON_VECTOR_CLONES void SoftmaxRow(int64_t begin, int64_t end, int64_t width, float* row) {
  std::fill(row, row + begin, 0.0f);
  float* const seen = row + begin;
  const int64_t count = end - begin;
  const float sum = ExponentialOfRow(LargestOf(seen, count), count, seen);
  const float factor = 1.0f / sum;
  for (int64_t i = 0; i < count; ++i) seen[i] *= factor;
  std::fill(row + end, row + width, 0.0f);
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

HALCYON_VECTOR_CLONES void WidenRow(const float* from, int64_t width, float* to) {
  Convert(from, width, to);
}
HALCYON_VECTOR_CLONES void WidenRow(const c10::BFloat16* from, int64_t width, float* to) {
  Convert(from, width, to);
}
HALCYON_VECTOR_CLONES void NarrowRow(const float* from, int64_t width, c10::BFloat16* to) {
  Convert(from, width, to);
}
HALCYON_VECTOR_CLONES void NarrowRow(const float* from, int64_t width, float* to) {
  Convert(from, width, to);
}

// Element `i` of row `row` of a matrix in panels of kTileColumns columns, `rows` rows each.
int64_t PanelPlace(int64_t rows, int64_t row, int64_t i) {
  return (i / kTileColumns * rows + row) * kTileColumns + i % kTileColumns;
}

// One head of one sequence. Steps are padded to kQueries, widths to kTileColumns, with zeros.
template <typename T>
class AttentionHead {
 public:
  AttentionHead(const AttentionInput<T>& input, const AttentionShape& shape)
      : input_(input),
        shape_(shape),
        width_(2 * shape.half),
        columns_(PaddedTo(width_, kTileColumns)),
        steps_(PaddedTo(shape.steps, kQueries)),
        scale_(static_cast<float>(1.0 / std::sqrt(static_cast<double>(width_)))),
        given_(columns_),
        turned_(columns_),
        keys_across_(steps_ * width_),
        values_(steps_ * columns_),
        queries_(kQueries * columns_),
        scores_(kQueries * steps_),
        rows_(kQueries * columns_) {}

  void Forward(int64_t sequence, int64_t head, T* out) {
    Begin(sequence, head);
    for (int64_t t = 0; t < shape_.steps; ++t) {
      PackAcross(TurnedKey(t), t, keys_across_);
      Pack(Widened(input_.value + RowPlace(t)), steps_, t, values_);
    }
    for (first_ = 0; first_ < shape_.steps; first_ += kQueries) {
      BeginQueries();
      MakeProbabilities();
      TimesPanels(scores_, values_);
      for (int64_t r = 0; r < count_; ++r) {
        NarrowRow(&rows_[r * columns_], width_, out + RowPlace(first_ + r));
      }
    }
  }

  void Backward(int64_t sequence, int64_t head, const T* gradient,
                const AttentionGradients<T>& to) {
    Begin(sequence, head);
    PrepareBackward();
    for (first_ = 0; first_ < shape_.steps; first_ += kQueries) {
      BeginQueries();
      MakeProbabilities();
      for (int64_t r = 0; r < count_; ++r) {
        float* const row = &gradients_[r * columns_];
        std::copy_n(Widened(gradient + RowPlace(first_ + r)), width_, row);
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
        Turn(&rows_[r * columns_], first_ + r, -1, scale_, turned_.data());
        NarrowRow(turned_.data(), width_, to.query + RowPlace(first_ + r));
      }
      AddAcross(scores_, gradient_panels_, of_values_);
      AddAcross(slopes_, query_panels_, of_keys_);
    }
    for (int64_t t = 0; t < shape_.steps; ++t) {
      Turn(&of_keys_[t * columns_], t, -1, 1, turned_.data());
      NarrowRow(turned_.data(), width_, to.key + RowPlace(t));
      NarrowRow(&of_values_[t * columns_], width_, to.value + RowPlace(t));
    }
  }

 private:
  void Begin(int64_t sequence, int64_t head) { sequence_ = sequence, head_ = head; }

  int64_t RowPlace(int64_t step) const {
    return ((sequence_ * shape_.steps + step) * shape_.heads + head_) * width_;
  }

  void Turn(const float* in, int64_t step, float direction, float scale, float* out) const {
    const int64_t at = (sequence_ * shape_.steps + step) % shape_.angles * shape_.half;
    TurnRow(in, input_.cosine + at, input_.sine + at, shape_.half, direction, scale, out);
  }

  int64_t FirstVisible(int64_t step) const {
    return input_.first_visible == nullptr ? 0
                                           : input_.first_visible[sequence_ * shape_.steps + step];
  }

  const float* TurnedKey(int64_t step) {
    Turn(Widened(input_.key + RowPlace(step)), step, 1, 1, turned_.data());
    return turned_.data();
  }

  const float* Widened(const T* row) {
    // Rows of a head lie too far apart for the processor to see the pattern.
    const T* const ahead = row + kRowsAhead * shape_.heads * width_;
    for (int64_t i = 0; i < width_; i += 64 / static_cast<int64_t>(sizeof(T))) {
      __builtin_prefetch(ahead + i);
    }
    WidenRow(row, width_, given_.data());
    return given_.data();
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
    values_across_.resize(steps_ * width_);
    slopes_.resize(kQueries * steps_);
    for (auto* array : {&gradients_, &gradient_panels_, &query_panels_}) {
      array->resize(kQueries * columns_);
    }
    key_panels_.resize(steps_ * columns_);
    of_keys_.assign(steps_ * columns_, 0.0f);
    of_values_.assign(steps_ * columns_, 0.0f);
    for (int64_t t = 0; t < shape_.steps; ++t) {
      const float* const key = TurnedKey(t);
      PackAcross(key, t, keys_across_);
      Pack(key, steps_, t, key_panels_);
      PackAcross(Widened(input_.value + RowPlace(t)), t, values_across_);
    }
  }

  void BeginQueries() {
    count_ = std::min(kQueries, shape_.steps - first_);
    tiles_ = (count_ + kTileRows - 1) / kTileRows;
    std::fill(queries_.begin(), queries_.end(), 0.0f);
    for (int64_t r = 0; r < count_; ++r) {
      Turn(Widened(input_.query + RowPlace(first_ + r)), first_ + r, 1, scale_,
           &queries_[r * columns_]);
    }
  }

  void MakeProbabilities() {
    TimesKeys(queries_, keys_across_, scores_);
    for (int64_t r = 0; r < tiles_ * kTileRows; ++r) {
      float* const row = &scores_[r * steps_];
      if (r < count_) {
        SoftmaxRow(FirstVisible(first_ + r), first_ + r + 1, first_ + kQueries, row);
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

  const AttentionInput<T>& input_;
  const AttentionShape& shape_;
  const int64_t width_, columns_, steps_;
  const float scale_;
  int64_t sequence_ = 0, head_ = 0;
  int64_t first_ = 0, count_ = 0, tiles_ = 0;  // of the queries at hand

  std::vector<float> given_, turned_;                  // a key
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

template <typename T>
void AttentionForward(const AttentionInput<T>& input, const AttentionShape& shape, T* out) {
  at::parallel_for(0, shape.batch * shape.heads, 1, [&](int64_t begin, int64_t end) {
    AttentionHead<T> head(input, shape);
    for (int64_t i = begin; i < end; ++i) head.Forward(i / shape.heads, i % shape.heads, out);
  });
}

template <typename T>
void AttentionBackward(const AttentionInput<T>& input, const AttentionShape& shape,
                       const T* gradient, const AttentionGradients<T>& to) {
  at::parallel_for(0, shape.batch * shape.heads, 1, [&](int64_t begin, int64_t end) {
    AttentionHead<T> head(input, shape);
    for (int64_t i = begin; i < end; ++i) {
      head.Backward(i / shape.heads, i % shape.heads, gradient, to);
    }
  });
}

template void AttentionForward(const AttentionInput<float>&, const AttentionShape&, float*);
template void AttentionForward(const AttentionInput<c10::BFloat16>&, const AttentionShape&,
                               c10::BFloat16*);
template void AttentionBackward(const AttentionInput<float>&, const AttentionShape&, const float*,
                                const AttentionGradients<float>&);
template void AttentionBackward(const AttentionInput<c10::BFloat16>&, const AttentionShape&,
                                const c10::BFloat16*, const AttentionGradients<c10::BFloat16>&);

}  // namespace halcyon::model
