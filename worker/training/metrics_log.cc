#include "worker/training/metrics_log.h"

#include <sstream>

#include "base/env.h"

namespace halcyon::worker {

using nlohmann::json;

absl::Status MetricsLog::Open(uint64_t step) {
  Env& env = *Env::Posix();
  std::string kept;
  if (env.Exists(path_)) {
    ASSIGN_OR_RETURN(const std::string before, env.ReadFile(path_));
    std::istringstream lines(before);
    for (std::string line; std::getline(lines, line);) {
      const json record = json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (!record.is_object() || record.value("step", uint64_t{0}) > step) continue;
      kept += line + "\n";
    }
  }
  RETURN_IF_ERROR(WriteFileAtomically(env, path_, kept));
  file_.open(path_, std::ios::app);
  if (!file_) return Internal("cannot append to " + path_);
  return absl::OkStatus();
}

void MetricsLog::Write(uint64_t step, json figures) {
  figures["step"] = step;
  file_ << figures.dump() << std::endl;
}

}  // namespace halcyon::worker
