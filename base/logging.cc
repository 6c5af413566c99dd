#include "base/logging.h"

#include <fcntl.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/file_descriptor.h"
#include "base/group_rights.h"
#include "base/mutex.h"
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

constexpr size_t kQueuedLinesMax = 10'000;
constexpr int64_t kCloseMs = 2000;

// The lines that are queued for a file, shared by the sink and the writing thread: the thread may
// outlive the sink when a write to the disk blocks.
class LogQueue {
 public:
  explicit LogQueue(FileDescriptor file) : file_(std::move(file)) {}

  void Add(std::string line) {
    const MutexLock lock(&mutex_);
    if (lines_.size() >= kQueuedLinesMax) {
      ++dropped_;
      return;
    }
    lines_.push_back(std::move(line));
    changed_.NotifyAll();
  }

  bool WaitUntilWritten(int64_t timeout_ms) {
    const MutexLock lock(&mutex_);
    return changed_.WaitFor(&mutex_, timeout_ms, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return lines_.empty() && !writing_;
    });
  }

  void Close() {
    const MutexLock lock(&mutex_);
    closed_ = true;
    changed_.NotifyAll();
  }

  // Runs on the writing thread; returns when the queue is closed and empty.
  void WriteLines() {
    std::string batch;
    // Lines that cannot be written are dropped: a failing log must not end a job.
    while (Take(&batch)) WriteAll(file_.get(), batch);
  }

 private:
  bool Take(std::string* batch) {
    const MutexLock lock(&mutex_);
    writing_ = false;
    changed_.NotifyAll();
    changed_.Wait(&mutex_, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return closed_ || !lines_.empty();
    });
    if (lines_.empty()) return false;
    batch->clear();
    for (const std::string& line : lines_) *batch += line;
    lines_.clear();
    if (dropped_ > 0) *batch += std::to_string(dropped_) + " lines dropped: the disk is slow\n";
    dropped_ = 0;
    writing_ = true;
    return true;
  }

  const FileDescriptor file_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<std::string> lines_ ABSL_GUARDED_BY(mutex_);
  size_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

class BackgroundFileSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit BackgroundFileSink(FileDescriptor file)
      : queue_(std::make_shared<LogQueue>(std::move(file))),
        thread_([queue = queue_] { queue->WriteLines(); }) {}
  ~BackgroundFileSink() override {
    queue_->Close();
    if (queue_->WaitUntilWritten(kCloseMs)) {
      thread_.join();
    } else {
      thread_.detach();
    }
  }
  const std::shared_ptr<LogQueue>& queue() const { return queue_; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    queue_->Add(std::string(line.data(), line.size()));
  }
  void flush_() override {}

 private:
  std::shared_ptr<LogQueue> queue_;
  std::thread thread_;
};

// The queue of the log file; null while no file is logged to.
std::shared_ptr<LogQueue>& OpenQueue() {
  static auto* queue = new std::shared_ptr<LogQueue>;
  return *queue;
}

// --- fields ---

using LogFields = std::map<std::string, std::string>;

struct ProcessFields {
  Mutex mutex;
  LogFields fields ABSL_GUARDED_BY(mutex);
};

ProcessFields& OfProcess() {
  static auto* fields = new ProcessFields;
  return *fields;
}

// Innermost last.
std::vector<std::pair<std::string, std::string>>& OfThread() {
  thread_local std::vector<std::pair<std::string, std::string>> fields;
  return fields;
}

std::string FieldValue(std::string value) {
  for (char& c : value) {
    const bool stays = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '-' || c == '/';
    if (!stays) c = '_';
  }
  return value;
}

// " job=quick-3f2a91c0 stage=model"; a line is formatted by the thread that logs it.
class FieldsFlag : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg&, const std::tm&,
              spdlog::memory_buf_t& line) override {
    LogFields fields;
    {
      const MutexLock lock(&OfProcess().mutex);
      fields = OfProcess().fields;
    }
    for (const auto& [key, value] : OfThread()) fields[key] = value;
    for (const auto& [key, value] : fields) {
      const std::string text = " " + key + "=" + value;
      line.append(text.data(), text.data() + text.size());
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<FieldsFlag>();
  }
};

void Install(spdlog::sink_ptr sink, const std::string& process, const char* default_level) {
  auto logger = std::make_shared<spdlog::logger>(process, std::move(sink));
  const char* level = std::getenv("HALCYON_LOG");
  logger->set_level(spdlog::level::from_str(level != nullptr ? level : default_level));
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<FieldsFlag>('*').set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n%*: %v");
  logger->set_formatter(std::move(formatter));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

void LogToStderr(const std::string& process) {
  Install(std::make_shared<StandardErrorSink>(), process, "warn");
}

absl::Status LogToFile(const std::string& process, const std::string& path) {
  ASSIGN_OR_RETURN(FileDescriptor file, CreateFile(path, O_WRONLY | O_APPEND), "the log");
  auto sink = std::make_shared<BackgroundFileSink>(std::move(file));
  OpenQueue() = sink->queue();
  Install(std::move(sink), process, "info");
  return absl::OkStatus();
}

void SetLogField(const std::string& key, const std::string& value) {
  const MutexLock lock(&OfProcess().mutex);
  if (value.empty()) {
    OfProcess().fields.erase(key);
  } else {
    OfProcess().fields[key] = FieldValue(value);
  }
}

ScopedLogField::ScopedLogField(const std::string& key, const std::string& value) {
  OfThread().emplace_back(key, FieldValue(value));
}

ScopedLogField::~ScopedLogField() { OfThread().pop_back(); }

bool FlushLog(int64_t timeout_ms) {
  const std::shared_ptr<LogQueue> queue = OpenQueue();
  return queue == nullptr || queue->WaitUntilWritten(timeout_ms);
}

}  // namespace halcyon
