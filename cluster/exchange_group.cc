#include "cluster/exchange_group.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace halcyon::cluster {
namespace {

const char* Bytes(const void* data) { return static_cast<const char*>(data); }
char* Bytes(void* data) { return static_cast<char*>(data); }

}  // namespace

// Calls `part(offset, count)` for 0 ... total values in pieces that one exchange may carry.
template <typename Part>
absl::Status ExchangeGroup::InCalls(size_t total, size_t width, Part part) const {
  const size_t count_max = call_bytes_max_ / width;
  for (size_t offset = 0; offset < total; offset += count_max) {
    RETURN_IF_ERROR(part(offset, std::min(count_max, total - offset)));
  }
  return absl::OkStatus();
}

// Puts every rank's `size` bytes at out + rank * stride.
absl::Status ExchangeGroup::Gather(const char* in, size_t size, char* out, size_t stride) {
  if (this->size() == 1) {
    if (size > 0) std::memmove(out, in, size);
    return absl::OkStatus();
  }
  return InCalls(size, 1, [&](size_t offset, size_t count) {
    return GatherCall(in + offset, count, out + offset, stride);
  });
}

// Fills received_ with the `size` bytes that each rank has at in + (this rank) * stride, in rank
// order.
absl::Status ExchangeGroup::Scatter(const char* in, size_t stride, size_t size) {
  received_.resize(size * this->size());
  if (this->size() == 1) {
    std::memcpy(received_.data(), in, size);
    return absl::OkStatus();
  }
  return ScatterCall(in, stride, size, received_.data());
}

absl::Status ExchangeGroup::AllGather(ConstBuffer in, Buffer out) {
  return Gather(Bytes(in.data), in.bytes(), Bytes(out.data), in.bytes());
}

absl::Status ExchangeGroup::ReduceScatterSum(ConstBuffer in, std::span<float> out) {
  const size_t width = BytesOf(in.type);
  return InCalls(out.size(), width, [&](size_t offset, size_t count) {
    const char* first = Bytes(in.data) + offset * width;
    RETURN_IF_ERROR(Scatter(first, out.size() * width, count * width));
    for (int rank = 0; rank < size(); ++rank) {
      const ConstBuffer part(received_.data() + rank * count * width, count, in.type, Device{});
      AddPart(part, rank == 0, out.subspan(offset, count));
    }
    return absl::OkStatus();
  });
}

absl::Status ExchangeGroup::AllReduceSum(std::span<double> values) {
  std::vector<double> parts;
  return InCalls(values.size(), sizeof(double), [&](size_t offset, size_t count) {
    parts.resize(count * size());
    const std::span<double> sum = values.subspan(offset, count);
    RETURN_IF_ERROR(
        Gather(Bytes(sum.data()), sum.size_bytes(), Bytes(parts.data()), sum.size_bytes()));
    std::ranges::fill(sum, 0.0);
    for (int rank = 0; rank < size(); ++rank) {
      for (size_t i = 0; i < count; ++i) {
        const double part = parts[rank * count + i];
        sum[i] = rank == 0 ? part : sum[i] + part;
      }
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<std::string>> ExchangeGroup::AllGatherBytes(std::string_view bytes) {
  std::vector<uint64_t> lengths(size());
  const uint64_t own_length = bytes.size();
  RETURN_IF_ERROR(
      Gather(Bytes(&own_length), sizeof(uint64_t), Bytes(lengths.data()), sizeof(uint64_t)));
  // Everybody sends as much as the longest one, so that all make the same exchanges.
  const size_t longest = *std::ranges::max_element(lengths);
  std::string padded(bytes);
  padded.resize(longest);
  std::string joined(longest * size(), '\0');
  RETURN_IF_ERROR(Gather(padded.data(), longest, joined.data(), longest));
  std::vector<std::string> all;
  for (int rank = 0; rank < size(); ++rank) {
    all.push_back(joined.substr(rank * longest, lengths[rank]));
  }
  return all;
}

}  // namespace halcyon::cluster
