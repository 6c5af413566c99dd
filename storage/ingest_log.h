// The ingest log of an unfinished cache: which shards are done, and in which file of the cache's
// folder each lies. Its records are the commits of the shards. One file a claim of the stage,
// DIR/log/00000007 (storage/record_log.h); docs/latent_cache_format.md defines the records.
#ifndef HALCYON_STORAGE_INGEST_LOG_H_
#define HALCYON_STORAGE_INGEST_LOG_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "storage/record_log.h"

namespace halcyon::storage {

// A shard as it was taken in: what its record says (storage/page_cache.h).
struct HeldShard {
  uint32_t shard = 0;
  uint64_t fence = 0;
  uint64_t pages = 0;
  std::string content_digest;  // 64 hexadecimal digits
  bool operator==(const HeldShard&) const = default;
};

// An SST file with the pages and records of shards that follow each other.
struct HeldFile {
  std::string name;  // within the cache's folder
  uint64_t bytes = 0;
  std::string crc32c;             // 8 hexadecimal digits
  std::vector<HeldShard> shards;  // at least one, ascending by one
  uint32_t first() const { return shards.front().shard; }
  uint32_t last() const { return shards.back().shard; }
};

// By their first shards; no shard is in two files.
using HeldFiles = std::map<uint32_t, HeldFile>;

struct IngestHistory {
  std::string dataset;  // fingerprint, 64 hexadecimal digits
  HeldFiles files;
};

// What the text of a log's file says. kDataLoss names the line; kFailedPrecondition: a newer
// format.
absl::StatusOr<IngestHistory> ParseIngestLog(std::string_view text);
// What the newest log below `number` + 1 in the cache's folder `dir` says. kNotFound: there is
// none; kAborted: there is a newer one; as ParseIngestLog, naming the file.
absl::StatusOr<IngestHistory> ReadIngestLog(Env& env, const std::string& dir, uint64_t number);

// Not thread-safe. Every record is on the disk when the call returns OK. After an error it is not
// in effect in this process; one that takes its place may find that it is.
class IngestLog {
 public:
  // `number`: of the claim under which the stage is made.
  IngestLog(Env& env, const std::string& dir, uint64_t number, IngestHistory history);

  // Begins the log's file with what `history` says.
  absl::Status Begin();
  // Commits the shards of the files, all or none. REQUIRES: none of them is in.
  absl::Status Ingest(const std::vector<HeldFile>& files);
  // Its shards lie in this file from now on. REQUIRES: they are in, and fill whole files.
  absl::Status Merge(const HeldFile& file);
  // The shards of the file are not done any more. REQUIRES: `first` is the first shard of a file.
  absl::Status Undo(uint32_t first);

  const IngestHistory& history() const { return history_; }
  // The file that the shard lies in; nullptr when it is not in.
  const HeldFile* FileOf(uint32_t shard) const;

 private:
  absl::Status Append(const nlohmann::json& record);

  RecordLog log_;
  IngestHistory history_;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_INGEST_LOG_H_
