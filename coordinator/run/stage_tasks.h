// The tasks of a stage of leased tasks, in the order to hand them out: made once, then shared by
// all who need them, in about as many bytes as their names and parameters have. Pure.
#ifndef HALCYON_COORDINATOR_RUN_STAGE_TASKS_H_
#define HALCYON_COORDINATOR_RUN_STAGE_TASKS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon::coordinator {

// A value. A copy costs nothing and has the same tasks; what is added to one afterwards is not in
// the other. Copies may be used by several threads.
class StageTasks {
 public:
  // `name`: "tokens/3". Copies the tasks first when they are shared.
  void Add(std::string_view name, const nlohmann::json& parameters);

  size_t size() const { return tasks_ ? tasks_->ends.size() / 2 : 0; }
  // REQUIRES for these two: task < size(). The name is valid as long as any copy is.
  std::string_view name(size_t task) const;
  nlohmann::json parameters(size_t task) const;

 private:
  struct Tasks {
    std::string bytes;           // of each task the name, and the parameters as CBOR
    std::vector<uint64_t> ends;  // of each name and each parameters
  };
  std::string_view Part(size_t part) const;

  std::shared_ptr<Tasks> tasks_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_RUN_STAGE_TASKS_H_
