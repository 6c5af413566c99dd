// What the owner of an unfinished cache reads from its SST files. kDataLoss names the file: it is
// not what its producer, or the ingest log, says; kNotFound: it is gone; other codes: it could not
// be read.
#ifndef HALCYON_STORAGE_SHARD_FILES_H_
#define HALCYON_STORAGE_SHARD_FILES_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "storage/ingest_log.h"
#include "storage/page_cache.h"
#include "storage/sst_output.h"
#include "storage/value_places.h"

namespace halcyon::storage {

// The record of a shard's file as it came from a worker, after checking the sum of the file, each
// block, that all keys belong to the shard, and that the record counts them.
// kInvalidArgument: the sum is none.
absl::StatusOr<ShardRecord> CheckShardFile(const SstFile& file, const std::string& dataset,
                                           uint32_t shard);

// What a file says of its shards.
struct HeldContents {
  std::vector<ShardRecord> records;
  std::vector<ValuePlace> places;
};
// Of `path`, compared with what the log says; each record is where its place says. Reads little
// else.
absl::StatusOr<HeldContents> ReadHeldContents(const std::string& path, const std::string& dataset,
                                              const HeldFile& held);

// Puts all pages and records of `path` into `output`, verifying each and counting them. Holds a
// few MiB, whatever the file's size. An error of `output` is its own.
absl::Status CopyHeldShards(const std::string& path, const std::string& dataset,
                            const HeldFile& held, SstOutput* output);

// Takes the files out of `files` that are missing in `dir` or have another size. What a person
// should know of it, "" when all are there.
absl::StatusOr<std::string> LeaveOutLost(Env& env, const std::string& dir, HeldFiles* files);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_SHARD_FILES_H_
