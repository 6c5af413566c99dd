// Identifiers, each with a type of its own, so that the compiler refuses to mix them up.
#ifndef HALCYON_BASE_IDS_H_
#define HALCYON_BASE_IDS_H_

#include <compare>
#include <cstdint>
#include <string>

namespace halcyon {

// A value of type T that is comparable only with values of the same Tag.
template <typename Tag, typename T>
class StrongId {
 public:
  StrongId() = default;
  explicit StrongId(T value) : value_(std::move(value)) {}
  const T& value() const { return value_; }
  auto operator<=>(const StrongId&) const = default;

 private:
  T value_{};
};

// "quickstart-3f2a91c0": the job's name and the start of its spec's digest.
using JobId = StrongId<struct JobIdTag, std::string>;
// Numbers the coordinators of a state folder: each start gets a higher one.
using Incarnation = StrongId<struct IncarnationTag, uint64_t>;
// Numbers the leases, ascending; a result whose number is not that of the task's last lease is
// refused.
using Fence = StrongId<struct FenceTag, uint64_t>;
// A part of a data set: 0, 1, ... in the order of the source bytes.
using ShardId = StrongId<struct ShardIdTag, uint32_t>;

// A worker process: its name is reused after a restart, its incarnation never is.
struct WorkerId {
  std::string name;  // "agent-0", "model-rank-1"
  uint64_t incarnation = 0;
  auto operator<=>(const WorkerId&) const = default;
};

}  // namespace halcyon

#endif  // HALCYON_BASE_IDS_H_
