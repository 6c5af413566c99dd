#include "worker/inputs/shard_encoding.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/philox.h"
#include "worker/inputs/latent_batches.h"

namespace halcyon::worker {
namespace {

constexpr uint32_t kComesOnce = 0xffffffff;

// Which chunks of a text are equal. Distinct ones are numbered as they come first.
struct DistinctChunks {
  std::vector<uint32_t> first;    // [distinct]: the first chunk that is it
  std::vector<uint32_t> number;   // [chunks]: which distinct one it is
  std::vector<uint32_t> kept_at;  // [distinct]: a place of its own when it comes again
  uint32_t kept = 0;              // places
};

// ids: [chunks, chunk_size].
DistinctChunks FindDistinct(std::span<const uint32_t> ids, size_t chunk_size) {
  const size_t chunks = ids.size() / chunk_size, bytes = chunk_size * sizeof(uint32_t);
  DistinctChunks found;
  found.number.reserve(chunks);
  std::unordered_map<std::string_view, uint32_t> numbers;
  numbers.reserve(chunks);
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    const auto* at = reinterpret_cast<const char*>(ids.data() + chunk * chunk_size);
    const auto [entry, is_new] =
        numbers.try_emplace(std::string_view(at, bytes), static_cast<uint32_t>(found.first.size()));
    if (is_new) {
      found.first.push_back(static_cast<uint32_t>(chunk));
      found.kept_at.push_back(kComesOnce);
    } else if (found.kept_at[entry->second] == kComesOnce) {
      found.kept_at[entry->second] = found.kept++;
    }
    found.number.push_back(entry->second);
  }
  return found;
}

// Tokens of distinct chunks begin ... begin + kLatentBatchChunks - 1, from the start again after
// the last, so that each batch is whole.
at::Tensor TokensOf(const DistinctChunks& distinct, std::span<const uint32_t> ids,
                    size_t chunk_size, size_t begin) {
  const at::Tensor tokens = at::empty(
      {static_cast<int64_t>(kLatentBatchChunks), static_cast<int64_t>(chunk_size)}, at::kLong);
  int64_t* out = tokens.data_ptr<int64_t>();
  for (size_t i = 0; i < kLatentBatchChunks; ++i) {
    const size_t chunk = distinct.first[(begin + i) % distinct.first.size()];
    out = std::copy_n(ids.data() + chunk * chunk_size, chunk_size, out);
  }
  return tokens;
}

// Puts the posteriors of a text's chunks together, in order, from those of its distinct ones.
class PosteriorsInOrder {
 public:
  PosteriorsInOrder(const DistinctChunks& distinct, size_t width)
      : distinct_(distinct), width_(width), kept_(distinct.kept * width) {}

  // rows: of distinct chunks begin ... end - 1, which follow those of the call before.
  absl::Status Add(const float* rows, size_t begin, size_t end,
                   absl::FunctionRef<absl::Status(std::span<const float>)> use) {
    for (size_t i = begin; i < end; ++i) {
      const uint32_t place = distinct_.kept_at[i];
      if (place == kComesOnce) continue;
      std::copy_n(rows + (i - begin) * width_, width_, kept_.begin() + place * width_);
    }
    for (; next_ < distinct_.number.size() && distinct_.number[next_] < end; ++next_) {
      const uint32_t number = distinct_.number[next_];
      const float* row = number >= begin ? rows + (number - begin) * width_
                                         : kept_.data() + distinct_.kept_at[number] * width_;
      out_.insert(out_.end(), row, row + width_);
      if (out_.size() == kLatentBatchChunks * width_) RETURN_IF_ERROR(Give(use));
    }
    return Give(use);
  }

 private:
  absl::Status Give(absl::FunctionRef<absl::Status(std::span<const float>)> use) {
    if (!out_.empty()) RETURN_IF_ERROR(use(out_));
    out_.clear();
    return absl::OkStatus();
  }

  const DistinctChunks& distinct_;
  const size_t width_;
  std::vector<float> kept_, out_;
  size_t next_ = 0;  // chunk to be given
};

// Chunks first ... first + count - 1, a multiple of a batch. Adds to `encoded`.
absl::Status EncodeDistinct(model::Autoencoder& autoencoder, const pipeline::Packing& packing,
                            uint32_t shard, const LatentBatch& run, UsePosteriors use,
                            uint64_t* encoded) {
  const size_t chunk_size = packing.rule().chunk_size;
  std::vector<uint32_t> ids(run.count * chunk_size);
  RETURN_IF_ERROR(packing.TokensOfShard(shard, run.split, run.first, ids));
  const DistinctChunks distinct = FindDistinct(ids, chunk_size);
  PosteriorsInOrder in_order(distinct, 2 * static_cast<size_t>(autoencoder.spec().latent_size));
  const size_t total = distinct.first.size();
  for (size_t begin = 0; begin < total; begin += kLatentBatchChunks) {
    const at::Tensor rows = EncodeRows(autoencoder, TokensOf(distinct, ids, chunk_size, begin));
    RETURN_IF_ERROR(in_order.Add(
        rows.const_data_ptr<float>(), begin, std::min<size_t>(begin + kLatentBatchChunks, total),
        [&](std::span<const float> posteriors) { return use(run.split, posteriors); }));
  }
  *encoded += total;
  return absl::OkStatus();
}

}  // namespace

bool RowsAreIndependent(model::Autoencoder& autoencoder) {
  constexpr auto kRows = static_cast<int64_t>(kLatentBatchChunks);
  const PhiloxStream random(/*seed=*/1, NoiseStream::kEvaluation, 0, 0);
  const at::Tensor tokens = at::empty({2 * kRows, autoencoder.spec().chunk_size}, at::kLong);
  for (int64_t i = 0; i < tokens.numel(); ++i) {
    tokens.data_ptr<int64_t>()[i] = static_cast<int64_t>(
        random.Below(static_cast<uint64_t>(i), static_cast<uint64_t>(autoencoder.vocab_size())));
  }
  const auto encoded = [&](const at::Tensor& batch) {
    return EncodeRows(autoencoder, batch.contiguous());
  };
  const at::Tensor rows = encoded(tokens.narrow(0, 0, kRows));
  const at::Tensor turned = encoded(tokens.narrow(0, 0, kRows).flip(0)).flip(0);
  // By an odd number, which is no multiple of what a library computes at a time.
  constexpr int64_t kShift = kRows / 2 + 3;
  const at::Tensor shifted = encoded(tokens.narrow(0, kShift, kRows));
  return at::equal(rows, turned) &&
         at::equal(rows.narrow(0, kShift, kRows - kShift), shifted.narrow(0, 0, kRows - kShift));
}

absl::StatusOr<uint64_t> EncodeShard(model::Autoencoder& autoencoder,
                                     const pipeline::Packing& packing, uint32_t shard,
                                     bool distinct_once, UsePosteriors use) {
  uint64_t encoded = 0;
  for (const pipeline::Split split : {pipeline::Split::kTrain, pipeline::Split::kHeldout}) {
    const uint64_t chunks = packing.ChunksOfShard(shard, split);
    const uint64_t whole = distinct_once ? chunks - chunks % kLatentBatchChunks : 0;
    for (uint64_t first = 0; first < whole; first += kChunksSearched) {
      RETURN_IF_ERROR(EncodeDistinct(autoencoder, packing, shard,
                                     {split, first, std::min(kChunksSearched, whole - first)}, use,
                                     &encoded));
    }
    for (uint64_t first = whole; first < chunks; first += kLatentBatchChunks) {
      const uint64_t count = std::min(kLatentBatchChunks, chunks - first);
      ASSIGN_OR_RETURN(const at::Tensor rows,
                       EncodeBatch(autoencoder, packing, shard, {split, first, count}));
      RETURN_IF_ERROR(
          use(split, {rows.const_data_ptr<float>(), static_cast<size_t>(rows.numel())}));
      encoded += count;
    }
  }
  return encoded;
}

}  // namespace halcyon::worker
