// Blocking collectives of one group of ranks on host memory: what a CollectiveQueue runs.
#ifndef HALCYON_CLUSTER_HOST_GROUP_H_
#define HALCYON_CLUSTER_HOST_GROUP_H_

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "cluster/buffer.h"

namespace halcyon::cluster {

// Asked every now and then by a group that waits for other ranks: an error ends the waiting, and is
// that of the collective.
using WaitCheck = std::function<absl::Status()>;

// Called from one thread. Arguments and results as in Collectives.
class HostGroup {
 public:
  // Before the first collective.
  void set_wait_check(WaitCheck check) { wait_check_ = std::move(check); }
  virtual ~HostGroup() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual absl::Status AllGather(ConstBuffer in, Buffer out) = 0;
  virtual absl::Status ReduceScatterSum(ConstBuffer in, std::span<float> out) = 0;
  virtual absl::Status AllReduceSum(std::span<double> values) = 0;
  virtual absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) = 0;
  virtual absl::Status Barrier() = 0;

 protected:
  absl::Status CheckWait() const { return wait_check_ ? wait_check_() : absl::OkStatus(); }

 private:
  WaitCheck wait_check_;
};

// The groups of a rank, as in Group.
struct HostGroups {
  std::unique_ptr<HostGroup> all, node,
      across_nodes;  // the last is null where nodes differ in size
};

// sum += or = `part`, whose elements may be bfloat16. The first part of a sum replaces it.
// REQUIRES: part.count == sum.size().
void AddPart(ConstBuffer part, bool is_first, std::span<float> sum);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_HOST_GROUP_H_
