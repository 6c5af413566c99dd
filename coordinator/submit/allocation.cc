#include "coordinator/submit/allocation.h"

#include <spdlog/spdlog.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "base/status.h"
#include "coordinator/submit/slurm.h"

namespace halcyon::coordinator {
namespace {

std::string_view EnvironmentText(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

AllocationWatcher::AllocationWatcher(std::string commands)
    : commands_(std::move(commands)), slurm_job_id_(EnvironmentText("SLURM_JOB_ID")) {
  if (slurm_job_id_.empty()) return;
  const std::string_view end = EnvironmentText("SLURM_JOB_END_TIME");
  int64_t end_s = 0;
  if (std::from_chars(end.data(), end.data() + end.size(), end_s).ec == std::errc() && end_s > 0 &&
      end_s < int64_t{1} << 40) {
    end_ms_ = 1000 * end_s;
  }
  thread_ = std::thread([this] { Watch(); });
}

AllocationWatcher::~AllocationWatcher() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void AllocationWatcher::Watch() {
  const Slurm slurm(commands_);
  while (true) {
    const auto jobs = slurm.Jobs();
    if (!jobs.ok()) {
      // What was known before still holds, most likely.
      spdlog::warn("the end of Slurm job {} cannot be asked for: {}", slurm_job_id_,
                   MessageOf(jobs.status()));
    } else if (const auto own = jobs->find(slurm_job_id_); own != jobs->end()) {
      end_ms_ = own->second.end_ms;
    }
    MutexLock lock(&mutex_);
    const auto is_ending = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ending_; };
    if (changed_.WaitFor(&mutex_, kAllocationPollMs, is_ending)) return;
  }
}

}  // namespace halcyon::coordinator
