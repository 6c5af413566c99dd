#include "storage/rocks.h"

#include <fcntl.h>
#include <rocksdb/env.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "absl/strings/escaping.h"
#include "base/file_descriptor.h"
#include "base/open_files.h"

namespace halcyon::storage {
namespace {

constexpr size_t kReadBytes = 1 << 20;

// RocksDB's warnings are about its own tuning; its errors also reach us as a Status, but not those
// of its background threads.
class ErrorLogger : public rocksdb::Logger {
 public:
  ErrorLogger() : Logger(rocksdb::InfoLogLevel::ERROR_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char line[1024];
    std::vsnprintf(line, sizeof(line), format, arguments);
    std::string_view text(line);
    while (text.ends_with('\n')) text.remove_suffix(1);
    spdlog::warn("RocksDB: {}", text);
  }
};

std::string Message(const rocksdb::Status& status, std::string_view what) {
  std::string message = std::string(what) + ": " + status.ToString();
  if (message.find(std::strerror(EMFILE)) != std::string::npos) {
    message += " (" + OpenFilesAdvice() + ")";
  }
  return message;
}

// A process reads a token and a latent cache at most, and keeps other files open, too.
constexpr uint64_t kShareOfOpenFiles = 8;
constexpr uint64_t kCacheFilesMin = 64, kCacheFilesMax = 4096;

}  // namespace

int OpenFilesOfACache() {
  return static_cast<int>(
      std::clamp(OpenFilesLimit() / kShareOfOpenFiles, kCacheFilesMin, kCacheFilesMax));
}

absl::Status FromRocks(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  // RocksDB has a name for a full disk, and none for a user's or group's share of it.
  const bool is_over_quota =
      status.IsIOError() && status.ToString().find(std::strerror(EDQUOT)) != std::string::npos;
  if (status.IsNoSpace() || is_over_quota) return ResourceExhausted(Message(status, what));
  if (status.IsCorruption()) return DataLoss(Message(status, what));
  if (status.IsNotFound() || status.IsPathNotFound()) return NotFound(Message(status, what));
  return Internal(Message(status, what));
}

absl::Status FromRocksOpen(const rocksdb::Status& status, std::string_view what) {
  if (status.IsPathNotFound()) return DataLoss(Message(status, what));
  return FromRocks(status, what);
}

rocksdb::Options QuietOptions() {
  rocksdb::Options options;
  options.info_log = std::make_shared<ErrorLogger>();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.max_background_jobs = 1;
  options.compression = rocksdb::kNoCompression;
  return options;
}

rocksdb::Options CacheOptions() {
  rocksdb::Options options = QuietOptions();
  // A generation never changes, so a file that was closed can be opened again.
  options.max_open_files = OpenFilesOfACache();
  options.disable_auto_compactions = true;
  options.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  rocksdb::BlockBasedTableOptions table;
  table.checksum = rocksdb::kXXH3;
  // The operating system's page cache is shared by all ranks of a machine; a block cache is not.
  table.no_block_cache = true;
  table.block_size = 1;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

absl::StatusOr<std::string> FileCrc32c(const std::string& path) {
  return VisitWithCrc32c(path, [](std::string_view) { return absl::OkStatus(); });
}

absl::StatusOr<std::string> VisitWithCrc32c(const std::string& path,
                                            absl::FunctionRef<absl::Status(std::string_view)> use) {
  // Opened once: a network file system asks its server at each opening.
  ASSIGN_OR_RETURN(const FileDescriptor file, FileDescriptor::Open(path, O_RDONLY));
  posix_fadvise(file.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  auto generator = rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator({});
  std::string buffer(kReadBytes, '\0');
  while (true) {
    const ssize_t got = read(file.get(), buffer.data(), buffer.size());
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "cannot read " + path);
    const std::string_view piece(buffer.data(), static_cast<size_t>(got));
    generator->Update(piece.data(), piece.size());
    RETURN_IF_ERROR(use(piece));
  }
  generator->Finalize();
  return absl::BytesToHexString(generator->GetChecksum());
}

}  // namespace halcyon::storage
