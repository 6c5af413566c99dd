// A log of JSON records: what a job's journal (job_journal.h) and the ingest log of an unfinished
// cache (ingest_log.h) have in common. One file a number, DIR/00000007, of a writer that has the
// number for itself (storage/lease.h); the highest is the log. It is a text that is only appended
// to: a line is a record, the XXH3 of its JSON in 16 hexadecimal digits, a space, and the JSON, an
// object. A file begins with a snapshot, a record of all that the one before said.
//
// A last line that was cut short by a crash is dropped; a line that is damaged and has others
// behind it is kDataLoss.
#ifndef HALCYON_STORAGE_RECORD_LOG_H_
#define HALCYON_STORAGE_RECORD_LOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"

namespace halcyon::storage {

// A line, with its line end.
std::string RecordLine(const nlohmann::json& record);

// Gives each line of a file's text to `take`, in order, with its number (1, 2, ...) and its record,
// which is nullopt where the line is damaged; a last line that was cut short is left out. Stops at
// the first error of `take`, and returns it.
absl::Status VisitRecordLines(
    std::string_view text,
    const std::function<absl::Status(int line, const std::optional<nlohmann::json>&)>& take);

// Gives each record of a file's text to `take`, in order. Stops at the first line that is damaged,
// which is kDataLoss, or whose record `take` refuses; the error names the line.
absl::Status ReadRecordLines(std::string_view text,
                             const std::function<absl::Status(const nlohmann::json&)>& take);

// kFailedPrecondition: the member "format" of a log's first record is above `newest`; kDataLoss: it
// has none. `what`: "a journal", for the message.
absl::Status CheckLogFormat(const nlohmann::json& record, const std::string& what, uint64_t newest);

// The numbers of the folder's files, ascending; none when there is no folder.
absl::StatusOr<std::vector<uint64_t>> RecordLogNumbers(Env& env, const std::string& dir);
std::string RecordLogPath(const std::string& dir, uint64_t number);

// Writes one file. Not thread-safe.
class RecordLog {
 public:
  RecordLog(Env& env, const std::string& dir, uint64_t number)
      : env_(env), dir_(dir), number_(number) {}

  // Begins the file, also again: readers see the old one or one with this record alone. Files of
  // the last few numbers stay.
  absl::Status Begin(const nlohmann::json& snapshot);
  // The record is on the disk when it returns OK. After an error it may be or not, and the log is
  // closed.
  absl::Status Append(const nlohmann::json& record);
  bool is_open() const { return file_ != nullptr; }

 private:
  Env& env_;
  const std::string dir_;
  const uint64_t number_;
  std::unique_ptr<WritableFile> file_;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_RECORD_LOG_H_
