// Collectives of a group on host memory, made of two exchanges of bytes that each implementation
// has. Sums are made here, in rank order: whatever carries the bytes, the same number of ranks
// gives the same bits. (MPI's own reductions sum in an order that depends on sizes and algorithms.)
#ifndef HALCYON_CLUSTER_EXCHANGE_GROUP_H_
#define HALCYON_CLUSTER_EXCHANGE_GROUP_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/host_group.h"

namespace halcyon::cluster {

// What one exchange carries for each rank, at most. It bounds the memory for what other ranks sent
// (this times the ranks).
inline constexpr size_t kCallBytesMax = size_t{4} << 20;

class ExchangeGroup : public HostGroup {
 public:
  // REQUIRES: call_bytes_max >= sizeof(double).
  explicit ExchangeGroup(size_t call_bytes_max) : call_bytes_max_(call_bytes_max) {}

  absl::Status AllGather(ConstBuffer in, Buffer out) override;
  absl::Status ReduceScatterSum(ConstBuffer in, std::span<float> out) override;
  absl::Status AllReduceSum(std::span<double> values) override;
  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override;

 protected:
  // Of 1 ... call_bytes_max bytes, in a group of more than one; `size` is equal on all ranks.
  // Puts every rank's `size` bytes at out + rank * stride; this rank's are at `in`.
  virtual absl::Status GatherCall(const char* in, size_t size, char* out, size_t stride) = 0;
  // Puts the `size` bytes that each rank has at its in + (this rank) * stride at out + rank * size.
  virtual absl::Status ScatterCall(const char* in, size_t stride, size_t size, char* out) = 0;

 private:
  template <typename Part>
  absl::Status InCalls(size_t total, size_t width, Part part) const;
  absl::Status Gather(const char* in, size_t size, char* out, size_t stride);
  absl::Status Scatter(const char* in, size_t stride, size_t size);

  const size_t call_bytes_max_;
  std::vector<char> received_;  // the parts of a reduction, in rank order
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_EXCHANGE_GROUP_H_
