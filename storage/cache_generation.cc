#include "storage/cache_generation.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/file_system.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>

#include "absl/strings/escaping.h"
#include "base/env.h"
#include "base/fault_point.h"
#include "storage/extent_index.h"
#include "storage/hex.h"
#include "storage/rocks.h"

namespace halcyon::storage {
namespace {

// Before their ingestion, when RocksDB gives them names of its own.
constexpr char kLinkPrefix[] = "link-";
constexpr size_t kGenerationBufferBytes = 64 << 10;  // small, since data comes by ingestion only

// RocksDB locks a file in its folder, for which a shared file system may have no means. This
// folder is new, and of one process: the holder of the stage's claim.
class UnlockedFileSystem : public rocksdb::FileSystemWrapper {
 public:
  UnlockedFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "UnlockedFileSystem"; }
  rocksdb::IOStatus LockFile(const std::string&, const rocksdb::IOOptions&,
                             rocksdb::FileLock** lock, rocksdb::IODebugContext*) override {
    *lock = new rocksdb::FileLock();
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus UnlockFile(rocksdb::FileLock* lock, const rocksdb::IOOptions&,
                               rocksdb::IODebugContext*) override {
    delete lock;
    return rocksdb::IOStatus::OK();
  }
};

std::string Crc32cName() {
  return rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator({})->Name();
}

absl::Status TakeIn(const std::string& dir, const std::vector<GenerationFile>& files,
                    rocksdb::DB* db) {
  rocksdb::IngestExternalFileArg arg;
  arg.column_family = db->DefaultColumnFamily();
  for (const auto& [file, places] : files) {
    const std::string linked = JoinPath(dir, kLinkPrefix + BaseName(file.path));
    if (link(file.path.c_str(), linked.c_str()) != 0) {
      return ErrnoStatus(errno, "cannot link " + file.path + " to " + linked);
    }
    arg.external_files.push_back(linked);
    arg.files_checksums.push_back(*BytesFromHex(file.file_checksum));
    arg.files_checksum_func_names.push_back(Crc32cName());
  }
  FaultPoint("cache publish linked");
  arg.options.move_files = true;
  arg.options.failed_move_fall_back_to_copy = false;
  arg.options.write_global_seqno = false;  // it would change bytes that the checksum covers
  // The sums are recorded as they are given: they were compared when the files came, or computed
  // while they were written.
  arg.options.verify_file_checksum = false;
  arg.options.fail_if_not_bottommost_level = true;
  if (files.empty()) return absl::OkStatus();
  return FromRocks(db->IngestExternalFiles({arg}), "cannot publish to " + dir);
}

// Of the SST files, by name.
std::map<std::string, std::string> RecordedSums(rocksdb::DB* db) {
  std::vector<rocksdb::LiveFileMetaData> live;
  db->GetLiveFilesMetaData(&live);
  std::map<std::string, std::string> sums;
  for (const auto& sst : live) {
    sums[sst.relative_filename] = absl::BytesToHexString(sst.file_checksum);
  }
  return sums;
}

// RocksDB numbers files as they are given. By their sums they are what it has.
absl::StatusOr<std::vector<PlacedFile>> PlacedFiles(const std::vector<GenerationFile>& files,
                                                    const std::string& dir, rocksdb::DB* db) {
  std::vector<rocksdb::LiveFileMetaData> live;
  db->GetLiveFilesMetaData(&live);
  std::sort(live.begin(), live.end(),
            [](const auto& a, const auto& b) { return a.file_number < b.file_number; });
  std::vector<PlacedFile> placed;
  for (size_t i = 0; i < files.size(); ++i) {
    const SstFile& sst = files[i].sst;
    if (live.size() != files.size() || live[i].size != sst.bytes ||
        absl::BytesToHexString(live[i].file_checksum) != sst.file_checksum) {
      return Internal(dir + ": RocksDB has other files than it was given");
    }
    placed.push_back({live[i].file_number, files[i].places});
  }
  return placed;
}

// What a reader needs.
bool IsOfGeneration(const std::string& name) {
  return name == kExtentIndexName || name == "CURRENT" || name.starts_with("MANIFEST-") ||
         name.starts_with("OPTIONS-") || name.ends_with(".sst");
}

}  // namespace

absl::StatusOr<std::vector<CacheManifest::File>> MakeGeneration(
    const std::string& dir, const std::vector<GenerationFile>& files,
    const std::vector<ShardRecord>& records) {
  Env& env = *Env::Posix();
  RETURN_IF_ERROR(env.CreateDirs(dir));
  const auto unlocked = rocksdb::NewCompositeEnv(std::make_shared<UnlockedFileSystem>());
  rocksdb::Options options = CacheOptions();
  options.env = unlocked.get();
  options.create_if_missing = true;
  options.error_if_exists = true;
  options.write_buffer_size = kGenerationBufferBytes;
  rocksdb::DB* raw = nullptr;
  RETURN_IF_ERROR(FromRocks(rocksdb::DB::Open(options, dir, &raw), "cannot publish to " + dir));
  std::unique_ptr<rocksdb::DB> db(raw);
  RETURN_IF_ERROR(TakeIn(dir, files, db.get()));
  FaultPoint("cache publish ingested");
  const std::map<std::string, std::string> sums = RecordedSums(db.get());
  ASSIGN_OR_RETURN(const std::vector<PlacedFile> placed, PlacedFiles(files, dir, db.get()));
  db.reset();
  ASSIGN_OR_RETURN(const std::string index, EncodeExtentIndex(placed, records), dir);
  RETURN_IF_ERROR(WriteFileAtomically(env, JoinPath(dir, kExtentIndexName), index));
  std::vector<CacheManifest::File> made;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(dir));
  for (const std::string& name : names) {
    const std::string path = JoinPath(dir, name);
    if (!IsOfGeneration(name)) {
      RETURN_IF_ERROR(env.RemoveFile(path));
      continue;
    }
    ASSIGN_OR_RETURN(const uint64_t bytes, env.FileSize(path));
    const auto sum = sums.find(name);
    std::string crc32c = sum == sums.end() ? "" : sum->second;
    if (crc32c.empty()) {
      ASSIGN_OR_RETURN(crc32c, FileCrc32c(path));
    }
    made.push_back({name, bytes, std::move(crc32c)});
  }
  return made;
}

}  // namespace halcyon::storage
