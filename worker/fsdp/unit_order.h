// The order in which a training pass uses its units, recorded in the first pass, so that later
// passes gather the next unit while the present one computes. No tensors.
#ifndef HALCYON_WORKER_FSDP_UNIT_ORDER_H_
#define HALCYON_WORKER_FSDP_UNIT_ORDER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace halcyon::worker {

// Units are numbers. Every rank runs the same graph, so all record and follow the same order. A
// pass that differs from the record ends following it; the next pass records anew.
class UnitOrder {
 public:
  enum class Phase : uint8_t { kForward, kBackward };
  struct Use {
    Phase phase;
    size_t unit;
    bool operator==(const Use&) const = default;
  };

  void BeginPass();
  // The unit is about to compute. Returns the following use, whose unit is to be gathered next.
  std::optional<Use> Next(const Use& use);
  // The pass is over; it becomes the record, unless there is one that it followed to the end.
  void EndPass();

  bool is_recorded() const { return recorded_.has_value(); }
  // Whether the record's first backward use is of the unit whose forward use comes right before it,
  // so that nothing is gained by freeing the unit in between. False without a record.
  bool TurnsAt(size_t unit) const;

 private:
  std::optional<std::vector<Use>> recorded_;
  std::vector<Use> pass_;
  bool follows_ = false;
};

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_FSDP_UNIT_ORDER_H_
