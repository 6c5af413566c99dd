#include "cluster/mpi_collectives.h"

#include <mpi.h>

#include <algorithm>

#include "base/check.h"

namespace halcyon::cluster {
namespace {

absl::Status MpiStatus(int error, const char* what) {
  if (error == MPI_SUCCESS) return absl::OkStatus();
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(error, text, &length);
  return Unavailable(std::string(what) + ": " + std::string(text, length));
}

template <typename T>
MPI_Datatype TypeOf();
template <>
MPI_Datatype TypeOf<char>() {
  return MPI_CHAR;
}
template <>
MPI_Datatype TypeOf<float>() {
  return MPI_FLOAT;
}
template <>
MPI_Datatype TypeOf<double>() {
  return MPI_DOUBLE;
}
template <>
MPI_Datatype TypeOf<uint64_t>() {
  return MPI_UINT64_T;
}

// A block of `count` values, the next of which starts `stride_bytes` further on: a part of what is
// meant for, or comes from, each rank. Strides have 64 bits, unlike MPI's displacements.
class StridedBlock {
 public:
  StridedBlock(MPI_Datatype value, size_t count, size_t stride_bytes) {
    MPI_Datatype contiguous;
    MPI_Type_contiguous(static_cast<int>(count), value, &contiguous);
    MPI_Type_create_resized(contiguous, 0, static_cast<MPI_Aint>(stride_bytes), &type_);
    MPI_Type_commit(&type_);
    MPI_Type_free(&contiguous);
  }
  ~StridedBlock() { MPI_Type_free(&type_); }
  StridedBlock(const StridedBlock&) = delete;
  StridedBlock& operator=(const StridedBlock&) = delete;
  MPI_Datatype type() const { return type_; }

 private:
  MPI_Datatype type_ = MPI_DATATYPE_NULL;
};

class MpiCollectives : public Collectives {
 public:
  explicit MpiCollectives(size_t call_bytes_max) : call_bytes_max_(call_bytes_max) {
    HALCYON_CHECK(call_bytes_max >= sizeof(double));
    // Errors come back as statuses; MPI would otherwise end the process.
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }
  ~MpiCollectives() override { MPI_Finalize(); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  absl::Status AllGather(std::span<const float> in, std::span<float> out) override {
    HALCYON_CHECK(out.size() == in.size() * size_);
    return InCalls<float>(in.size(), [&](size_t offset, size_t count) {
      return Gather(in.subspan(offset, count), out.data() + offset, in.size());
    });
  }

  // MPI's own reductions sum in an order that depends on sizes and algorithms, so the parts are
  // exchanged and summed here.
  absl::Status ReduceScatterSum(std::span<const float> in, std::span<float> out) override {
    HALCYON_CHECK(in.size() == out.size() * size_);
    std::vector<float> parts;
    return InCalls<float>(out.size(), [&](size_t offset, size_t count) {
      parts.resize(count * size_);
      RETURN_IF_ERROR(Scatter(in.data() + offset, out.size(), std::span(parts)));
      SumRanks<float>(parts, out.subspan(offset, count));
      return absl::OkStatus();
    });
  }

  absl::Status AllReduceSum(std::span<double> values) override {
    std::vector<double> parts;
    return InCalls<double>(values.size(), [&](size_t offset, size_t count) {
      parts.resize(count * size_);
      const std::span<double> part = values.subspan(offset, count);
      RETURN_IF_ERROR(Gather<double>(part, parts.data(), count));
      SumRanks<double>(parts, part);
      return absl::OkStatus();
    });
  }

  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override {
    std::vector<uint64_t> lengths(size_);
    const uint64_t own_length = bytes.size();
    RETURN_IF_ERROR(Gather<uint64_t>({&own_length, 1}, lengths.data(), 1));
    // Everybody sends as much as the longest one, so that all make the same calls.
    const size_t longest = *std::ranges::max_element(lengths);
    std::string padded(bytes);
    padded.resize(longest);
    std::string joined(longest * size_, '\0');
    RETURN_IF_ERROR(InCalls<char>(longest, [&](size_t offset, size_t count) {
      return Gather(std::span<const char>(padded).subspan(offset, count), joined.data() + offset,
                    longest);
    }));
    std::vector<std::string> all;
    for (int rank = 0; rank < size_; ++rank) {
      all.push_back(joined.substr(rank * longest, lengths[rank]));
    }
    return all;
  }

  absl::Status Barrier() override { return MpiStatus(MPI_Barrier(MPI_COMM_WORLD), "MPI_Barrier"); }

 private:
  // Calls `part(offset, count)` for 0 ... total in pieces that one MPI call may carry.
  template <typename T, typename Part>
  absl::Status InCalls(size_t total, Part part) const {
    const size_t count_max = call_bytes_max_ / sizeof(T);
    for (size_t offset = 0; offset < total; offset += count_max) {
      RETURN_IF_ERROR(part(offset, std::min(count_max, total - offset)));
    }
    return absl::OkStatus();
  }

  // Puts every rank's `in` at out + rank * stride.
  template <typename T>
  absl::Status Gather(std::span<const T> in, T* out, size_t stride) const {
    if (size_ == 1) {
      std::ranges::copy(in, out);
      return absl::OkStatus();
    }
    const StridedBlock block(TypeOf<T>(), in.size(), stride * sizeof(T));
    return MpiStatus(MPI_Allgather(in.data(), static_cast<int>(in.size()), TypeOf<T>(), out, 1,
                                   block.type(), MPI_COMM_WORLD),
                     "MPI_Allgather");
  }

  // Fills `parts` with what each rank has at in + (this rank) * stride, in rank order.
  template <typename T>
  absl::Status Scatter(const T* in, size_t stride, std::span<T> parts) const {
    const size_t count = parts.size() / size_;
    if (size_ == 1) {
      std::copy_n(in, count, parts.begin());
      return absl::OkStatus();
    }
    const StridedBlock block(TypeOf<T>(), count, stride * sizeof(T));
    return MpiStatus(MPI_Alltoall(in, 1, block.type(), parts.data(), static_cast<int>(count),
                                  TypeOf<T>(), MPI_COMM_WORLD),
                     "MPI_Alltoall");
  }

  template <typename T>
  void SumRanks(std::span<const T> parts, std::span<T> sum) const {
    std::ranges::copy(parts.first(sum.size()), sum.begin());
    for (int rank = 1; rank < size_; ++rank) {
      const std::span<const T> part = parts.subspan(rank * sum.size(), sum.size());
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
    }
  }

  const size_t call_bytes_max_;
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Collectives>> MakeMpiCollectives(size_t call_bytes_max) {
  int provided = 0;
  // The calling thread alone will speak to MPI.
  RETURN_IF_ERROR(
      MpiStatus(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init"));
  if (provided < MPI_THREAD_FUNNELED) {
    MPI_Finalize();
    return Internal("this MPI allows no threads beside the one that calls it");
  }
  return std::make_unique<MpiCollectives>(call_bytes_max);
}

}  // namespace halcyon::cluster
