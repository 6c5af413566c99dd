#include "storage/record_log.h"

#include <algorithm>
#include <cstdio>

#include "base/digest.h"
#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

constexpr size_t kChecksumDigits = 16;
constexpr size_t kLogNameDigits = 8;
constexpr size_t kLogFilesKept = 4;

// A whole record; nullopt when the line is not one that RecordLine made.
std::optional<json> RecordOf(std::string_view line) {
  if (line.size() <= kChecksumDigits || line[kChecksumDigits] != ' ') return std::nullopt;
  const std::string_view text = line.substr(kChecksumDigits + 1);
  if (line.substr(0, kChecksumDigits) != Hex64(Xxh3(text))) return std::nullopt;
  auto parsed = ParseStrictJson(text);
  return parsed.ok() ? std::optional(*std::move(parsed)) : std::nullopt;
}

}  // namespace

std::string RecordLine(const json& record) {
  // Paths and error messages need not be UTF-8; what is not is replaced rather than refused.
  const std::string text = record.dump(-1, ' ', false, json::error_handler_t::replace);
  return Hex64(Xxh3(text)) + " " + text + "\n";
}

absl::Status VisitRecordLines(
    std::string_view text,
    const std::function<absl::Status(int line, const std::optional<json>&)>& take) {
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::optional<json> record = RecordOf(line);
    if (!record && text.empty()) return absl::OkStatus();  // cut short by a crash
    RETURN_IF_ERROR(take(number, record));
  }
  return absl::OkStatus();
}

absl::Status ReadRecordLines(std::string_view text,
                             const std::function<absl::Status(const json&)>& take) {
  return VisitRecordLines(text, [&](int number, const std::optional<json>& record) -> absl::Status {
    const std::string where = "line " + std::to_string(number);
    if (!record) return DataLoss(where + " is damaged");
    RETURN_IF_ERROR(take(*record), where);
    return absl::OkStatus();
  });
}

std::string RecordLogPath(const std::string& dir, uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof(name), "%08llu", static_cast<unsigned long long>(number));
  return JoinPath(dir, name);
}

absl::Status CheckLogFormat(const json& record, const std::string& what, uint64_t newest) {
  ASSIGN_OR_RETURN(const uint64_t format, UnsignedMember(record, "format"));
  if (format <= newest) return absl::OkStatus();
  return FailedPrecondition(what + " of format " + std::to_string(format) +
                            ", this program reads up to " + std::to_string(newest) +
                            "; use a newer Halcyon");
}

absl::StatusOr<std::vector<uint64_t>> RecordLogNumbers(Env& env, const std::string& dir) {
  std::vector<uint64_t> numbers;
  if (!env.Exists(dir)) return numbers;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(dir));
  for (const std::string& name : names) {
    const bool is_number =
        name.size() == kLogNameDigits &&
        std::all_of(name.begin(), name.end(), [](unsigned char c) { return c >= '0' && c <= '9'; });
    if (is_number) numbers.push_back(std::stoull(name));
  }
  return numbers;
}

absl::Status RecordLog::Begin(const json& snapshot) {
  file_.reset();
  RETURN_IF_ERROR(CreateSyncedDir(env_, dir_));
  const std::string path = RecordLogPath(dir_, number_);
  const std::string draft = path + ".tmp";
  ASSIGN_OR_RETURN(auto file, env_.NewWritableFile(draft));
  RETURN_IF_ERROR(file->Append(RecordLine(snapshot)));
  RETURN_IF_ERROR(file->Sync());
  RETURN_IF_ERROR(env_.Rename(draft, path));
  RETURN_IF_ERROR(env_.SyncDir(dir_));
  file_ = std::move(file);
  ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, RecordLogNumbers(env_, dir_));
  for (size_t i = 0; i + kLogFilesKept < numbers.size(); ++i) {
    env_.RemoveFile(RecordLogPath(dir_, numbers[i])).IgnoreError();
  }
  return absl::OkStatus();
}

absl::Status RecordLog::Append(const json& record) {
  absl::Status written = file_->Append(RecordLine(record));
  if (written.ok()) written = file_->Sync();
  if (!written.ok()) file_.reset();
  return written;
}

}  // namespace halcyon::storage
