#include "base/logging.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <mutex>

#include "base/terminal_text.h"

namespace halcyon {
namespace {

// Standard error, which may be a terminal: what is logged may name any file.
class StandardErrorSink : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    PrintToStandardError({line.data(), line.size()});
  }
  void flush_() override {}
};

void Install(spdlog::sink_ptr sink, const std::string& process, const char* default_level) {
  auto logger = std::make_shared<spdlog::logger>(process, std::move(sink));
  const char* level = std::getenv("HALCYON_LOG");
  logger->set_level(spdlog::level::from_str(level != nullptr ? level : default_level));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n: %v", spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

void LogToStderr(const std::string& process) {
  Install(std::make_shared<StandardErrorSink>(), process, "warn");
}

absl::Status LogToFile(const std::string& process, const std::string& path) {
  try {
    Install(std::make_shared<spdlog::sinks::basic_file_sink_mt>(path), process, "info");
  } catch (const spdlog::spdlog_ex& error) {
    return Internal("cannot log to " + path + ": " + error.what());
  }
  return absl::OkStatus();
}

}  // namespace halcyon
