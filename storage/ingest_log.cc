#include "storage/ingest_log.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "storage/cache_format.h"
#include "storage/hex.h"
#include "storage/sst_output.h"
#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

constexpr char kLogFolder[] = "log";
constexpr uint64_t kLogFormat = 1;
constexpr size_t kCrc32cDigits = 8;

// An array, and not an object of objects: a snapshot may have 100,000 of them.
constexpr size_t kFileMembers = 4;   // name, bytes, crc32c, first shard; then of each shard:
constexpr size_t kShardMembers = 3;  // fence, pages, content digest

json FileToJson(const HeldFile& file) {
  json to = json::array();
  auto& members = to.get_ref<json::array_t&>();
  members.reserve(kFileMembers + kShardMembers * file.shards.size());
  members.assign({file.name, file.bytes, file.crc32c, file.first()});
  for (const HeldShard& shard : file.shards) {
    members.insert(members.end(), {shard.fence, shard.pages, shard.content_digest});
  }
  return to;
}

absl::Status TakeShards(const json& from, HeldFile* file) {
  const auto first = from[kFileMembers - 1].get<uint64_t>();
  const size_t shards = (from.size() - kFileMembers) / kShardMembers;
  if (shards == 0) return DataLoss("holds no shard");
  if (first > std::numeric_limits<uint32_t>::max() - (shards - 1)) {
    return DataLoss("there is no shard " + std::to_string(first));
  }
  for (size_t at = kFileMembers; at < from.size(); at += kShardMembers) {
    const json &fence = from[at], &pages = from[at + 1], &digest = from[at + 2];
    if (!fence.is_number_unsigned() || !pages.is_number_unsigned() || !digest.is_string() ||
        !IsDigest(digest.get_ref<const std::string&>())) {
      return DataLoss("expected a shard's fence, pages and digest");
    }
    file->shards.push_back({static_cast<uint32_t>(first + file->shards.size()),
                            fence.get<uint64_t>(), pages.get<uint64_t>(),
                            digest.get<std::string>()});
  }
  return absl::OkStatus();
}

absl::StatusOr<HeldFile> FileFromJson(const json& from) {
  const bool fits = from.is_array() && from.size() >= kFileMembers &&
                    (from.size() - kFileMembers) % kShardMembers == 0 && from[0].is_string() &&
                    from[1].is_number_unsigned() && from[2].is_string() &&
                    from[3].is_number_unsigned();
  if (!fits) return DataLoss("expected a file's name, bytes, CRC32c and shards");
  HeldFile file{
      from[0].get<std::string>(), from[1].get<uint64_t>(), from[2].get<std::string>(), {}};
  const bool is_name = file.name.find('/') == std::string::npos &&
                       file.name.find('\0') == std::string::npos && file.name.ends_with(kSstSuffix);
  if (!is_name) return DataLoss("not the name of an SST file in its folder: '" + file.name + "'");
  if (file.crc32c.size() != kCrc32cDigits || !BytesFromHex(file.crc32c)) {
    return DataLoss(file.name + ": not a CRC32c: '" + file.crc32c + "'");
  }
  RETURN_IF_ERROR(TakeShards(from, &file), file.name);
  return file;
}

// Whether `files` has a file with any shard of first ... last; the first of these files.
HeldFiles::iterator FirstWithin(HeldFiles* files, uint32_t first, uint32_t last) {
  auto it = files->upper_bound(first);
  if (it != files->begin() && std::prev(it)->second.last() >= first) return std::prev(it);
  return it != files->end() && it->first <= last ? it : files->end();
}

absl::Status TakeFiles(const json& record, HeldFiles* files) {
  ASSIGN_OR_RETURN(const json* from, ArrayMember(record, "files"));
  for (const json& one : *from) {
    ASSIGN_OR_RETURN(HeldFile file, FileFromJson(one));
    if (FirstWithin(files, file.first(), file.last()) != files->end()) {
      return DataLoss(file.name + ": holds a shard that is in already");
    }
    files->emplace(file.first(), std::move(file));
  }
  return absl::OkStatus();
}

absl::Status TakeMerge(const json& record, HeldFiles* files) {
  ASSIGN_OR_RETURN(const json* from, Member(record, "file"));
  ASSIGN_OR_RETURN(HeldFile file, FileFromJson(*from));
  std::vector<HeldShard> before;
  const auto begin = files->find(file.first());
  auto end = begin;
  for (; end != files->end() && end->second.last() <= file.last(); ++end) {
    before.insert(before.end(), end->second.shards.begin(), end->second.shards.end());
  }
  if (before != file.shards) return DataLoss(file.name + ": its shards are not those before");
  files->erase(begin, end);
  files->emplace(file.first(), std::move(file));
  return absl::OkStatus();
}

absl::Status TakeUndo(const json& record, HeldFiles* files) {
  ASSIGN_OR_RETURN(const uint64_t first, UnsignedMember(record, "first"));
  const auto found = first <= std::numeric_limits<uint32_t>::max()
                         ? files->find(static_cast<uint32_t>(first))
                         : files->end();
  if (found == files->end()) return DataLoss("no file begins with shard " + std::to_string(first));
  files->erase(found);
  return absl::OkStatus();
}

absl::Status TakeIngestSnapshot(const json& record, IngestHistory* history) {
  RETURN_IF_ERROR(CheckLogFormat(record, "an ingest log", kLogFormat));
  IngestHistory taken;
  ASSIGN_OR_RETURN(taken.dataset, StringMember(record, "dataset"));
  if (!CheckDataset(taken.dataset).ok()) return DataLoss("not a data set: " + taken.dataset);
  RETURN_IF_ERROR(TakeFiles(record, &taken.files));
  *history = std::move(taken);
  return absl::OkStatus();
}

absl::Status TakeIngestRecord(const json& record, IngestHistory* history) {
  ASSIGN_OR_RETURN(const std::string type, StringMember(record, "type"));
  if (type == "snapshot") return TakeIngestSnapshot(record, history);
  if (history->dataset.empty()) return DataLoss("the log does not begin with a snapshot");
  if (type == "ingest") return TakeFiles(record, &history->files);
  if (type == "merge") return TakeMerge(record, &history->files);
  if (type == "undo") return TakeUndo(record, &history->files);
  return DataLoss("a record of type '" + type + "'");
}

json IngestSnapshot(const IngestHistory& history) {
  json files = json::array();
  for (const auto& [first, file] : history.files) files.push_back(FileToJson(file));
  return {{"type", "snapshot"},
          {"format", kLogFormat},
          {"dataset", history.dataset},
          {"files", std::move(files)}};
}

}  // namespace

absl::StatusOr<IngestHistory> ParseIngestLog(std::string_view text) {
  IngestHistory history;
  RETURN_IF_ERROR(ReadRecordLines(
      text, [&](const json& record) { return TakeIngestRecord(record, &history); }));
  // The snapshot is written before the file gets its name.
  if (history.dataset.empty()) return DataLoss("line 1 is damaged");
  return history;
}

absl::StatusOr<IngestHistory> ReadIngestLog(Env& env, const std::string& dir, uint64_t number) {
  const std::string logs = JoinPath(dir, kLogFolder);
  ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, RecordLogNumbers(env, logs));
  if (numbers.empty()) return NotFound("no ingest log in " + logs);
  const std::string path = RecordLogPath(logs, numbers.back());
  if (numbers.back() > number) {
    return Aborted(path + ": claim " + std::to_string(number) + " of this cache has ended");
  }
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  auto history = ParseIngestLog(text);
  RETURN_IF_ERROR(history.status(), path);
  return history;
}

IngestLog::IngestLog(Env& env, const std::string& dir, uint64_t number, IngestHistory history)
    : log_(env, JoinPath(dir, kLogFolder), number), history_(std::move(history)) {}

absl::Status IngestLog::Begin() { return log_.Begin(IngestSnapshot(history_)); }

absl::Status IngestLog::Append(const json& record) {
  if (!log_.is_open()) RETURN_IF_ERROR(Begin());
  RETURN_IF_ERROR(log_.Append(record));
  HALCYON_CHECK(TakeIngestRecord(record, &history_).ok());
  return absl::OkStatus();
}

absl::Status IngestLog::Ingest(const std::vector<HeldFile>& files) {
  json all = json::array();
  for (const HeldFile& file : files) all.push_back(FileToJson(file));
  return Append({{"type", "ingest"}, {"files", std::move(all)}});
}

absl::Status IngestLog::Merge(const HeldFile& file) {
  return Append({{"type", "merge"}, {"file", FileToJson(file)}});
}

absl::Status IngestLog::Undo(uint32_t first) {
  return Append({{"type", "undo"}, {"first", first}});
}

const HeldFile* IngestLog::FileOf(uint32_t shard) const {
  const auto after = history_.files.upper_bound(shard);
  if (after == history_.files.begin()) return nullptr;
  const HeldFile& file = std::prev(after)->second;
  return file.last() >= shard ? &file : nullptr;
}

}  // namespace halcyon::storage
