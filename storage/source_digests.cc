#include "storage/source_digests.h"

#include <sys/stat.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/shared_file.h"
#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

constexpr size_t kNameDigits = 32;

}  // namespace

absl::StatusOr<SourceRecord> LookAtSource(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "cannot read " + path);
  SourceRecord record;
  record.path = path;
  record.size = static_cast<uint64_t>(info.st_size);
  record.mtime_ns = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
  record.ctime_ns = int64_t{info.st_ctim.tv_sec} * 1'000'000'000 + info.st_ctim.tv_nsec;
  record.inode = info.st_ino;
  return record;
}

bool IsSameFile(const SourceRecord& a, const SourceRecord& b) {
  return a.size == b.size && a.mtime_ns == b.mtime_ns && a.ctime_ns == b.ctime_ns &&
         a.inode == b.inode;
}

absl::StatusOr<SourceRecord> ReadSource(const std::string& path, const SourceReader& read) {
  ASSIGN_OR_RETURN(SourceRecord before, LookAtSource(path));
  ASSIGN_OR_RETURN(before.sha256, read(path));
  ASSIGN_OR_RETURN(const SourceRecord after, LookAtSource(path));
  if (!IsSameFile(before, after)) {
    return FailedPrecondition(path + ": changed while it was read; start again when it is done");
  }
  return before;
}

json SourceToJson(const SourceRecord& source) {
  return {{"path", source.path},         {"size", source.size},   {"mtime_ns", source.mtime_ns},
          {"ctime_ns", source.ctime_ns}, {"inode", source.inode}, {"sha256", source.sha256}};
}

std::string EncodeSource(const SourceRecord& source) {
  // Paths need not be UTF-8; what is not is replaced rather than refused.
  return SourceToJson(source).dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<SourceRecord> DecodeSource(std::string_view text) {
  ASSIGN_OR_RETURN(const json from, ParseStrictJson(text));
  return SourceFromJson(from);
}

absl::StatusOr<SourceRecord> SourceFromJson(const json& from) {
  SourceRecord source;
  ASSIGN_OR_RETURN(source.path, StringMember(from, "path"));
  ASSIGN_OR_RETURN(source.size, UnsignedMember(from, "size"));
  ASSIGN_OR_RETURN(source.mtime_ns, IntegerMember(from, "mtime_ns"));
  ASSIGN_OR_RETURN(source.ctime_ns, IntegerMember(from, "ctime_ns"));
  ASSIGN_OR_RETURN(source.inode, UnsignedMember(from, "inode"));
  ASSIGN_OR_RETURN(source.sha256, StringMember(from, "sha256"));
  return source;
}

absl::StatusOr<std::string> SourceDigests::Of(const std::string& path, const Reader& read) {
  ASSIGN_OR_RETURN(const SourceRecord now, LookAtSource(path));
  const auto remembered = Find(path);
  if (remembered.ok() && IsSameFile(*remembered, now)) return remembered->sha256;
  return ReadAnew(path, read);
}

absl::StatusOr<std::string> SourceDigests::ReadAnew(const std::string& path, const Reader& read) {
  ASSIGN_OR_RETURN(const SourceRecord record, ReadSource(path, read));
  RETURN_IF_ERROR(Put(record));
  return record.sha256;
}

absl::StatusOr<SourceRecord> SourceDigests::Find(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, env_.ReadFile(PathOf(path)));
  ASSIGN_OR_RETURN(SourceRecord record, DecodeSource(text));
  if (record.path != path) return NotFound(path + " is not remembered");
  return record;
}

absl::Status SourceDigests::Put(const SourceRecord& source) {
  RETURN_IF_ERROR(env_.CreateDirs(dir_));
  // Several processes may remember the same file at once.
  return WriteSharedFile(env_, PathOf(source.path), EncodeSource(source), Durability::kUnsynced);
}

std::string SourceDigests::PathOf(const std::string& source) const {
  return JoinPath(dir_, Sha256::Of(source).substr(0, kNameDigits) + ".json");
}

}  // namespace halcyon::storage
