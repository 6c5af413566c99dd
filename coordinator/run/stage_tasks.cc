#include "coordinator/run/stage_tasks.h"

namespace halcyon::coordinator {

void StageTasks::Add(std::string_view name, const nlohmann::json& parameters) {
  if (!tasks_) tasks_ = std::make_shared<Tasks>();
  if (tasks_.use_count() > 1) tasks_ = std::make_shared<Tasks>(*tasks_);
  tasks_->bytes += name;
  tasks_->ends.push_back(tasks_->bytes.size());
  nlohmann::json::to_cbor(parameters, tasks_->bytes);
  tasks_->ends.push_back(tasks_->bytes.size());
}

std::string_view StageTasks::Part(size_t part) const {
  const uint64_t begin = part == 0 ? 0 : tasks_->ends.at(part - 1);
  return std::string_view(tasks_->bytes).substr(begin, tasks_->ends.at(part) - begin);
}

std::string_view StageTasks::name(size_t task) const { return Part(2 * task); }

nlohmann::json StageTasks::parameters(size_t task) const {
  return nlohmann::json::from_cbor(Part(2 * task + 1));
}

}  // namespace halcyon::coordinator
