#include "worker/training/metrics_log.h"

#include <spdlog/spdlog.h>

#include <sstream>

#include "base/env.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;

// The step of a line; 0 for a line that was cut short or has no step.
uint64_t StepOf(const json& record) {
  if (!record.is_object()) return 0;
  const auto step = record.find("step");
  return step != record.end() && step->is_number_unsigned() ? step->get<uint64_t>() : 0;
}

}  // namespace

absl::Status MetricsLog::Open(uint64_t step) {
  Env& env = *Env::Posix();
  std::string kept;
  if (env.Exists(path_)) {
    ASSIGN_OR_RETURN(const std::string before, env.ReadFile(path_));
    std::istringstream lines(before);
    for (std::string line; std::getline(lines, line);) {
      json record = json::parse(line, nullptr, /*allow_exceptions=*/false);
      const uint64_t made = StepOf(record);
      if (made == 0 || made > step) continue;
      kept += line + "\n";
      if (made == step && !record.contains("eval")) last_figures_ = std::move(record);
    }
  }
  if (last_figures_.is_object()) {
    last_figures_.erase("step");
    last_figures_.erase("time_ms");
  }
  RETURN_IF_ERROR(WriteFileAtomically(env, path_, kept));
  file_.open(path_, std::ios::app);
  if (!file_) return Internal("cannot append to " + path_);
  return absl::OkStatus();
}

void MetricsLog::Write(uint64_t step, json figures) {
  figures["step"] = step;
  figures["time_ms"] = clock_->WallMs();
  // Samples of an evaluation may hold bytes that are no UTF-8.
  file_ << figures.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
  if (file_) return;
  file_.clear();
  if (!warned_) spdlog::warn("{}: a line could not be written", path_);
  warned_ = true;
}

absl::Status MetricsLog::CopyTo(const std::string& path) {
  Env& env = *Env::Posix();
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path_));
  return WriteFileAtomically(env, path, text);
}

}  // namespace halcyon::worker
