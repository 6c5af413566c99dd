#include "pipeline/sources/shard_plan.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/file_kind.h"
#include "jobs/heldout_parts.h"
#include "pipeline/sources/document_cutter.h"
#include "pipeline/sources/source_text.h"
#include "pipeline/token_files/token_cut.h"

namespace halcyon::pipeline {
namespace {

constexpr uint64_t kSearchBytes = 1 << 20;
// To read a shard of a packed file what is before it is unpacked, too. Shards that grow with their
// position, each 1/8 of what precedes it, make that eight times the file in all.
constexpr uint64_t kPackedGrowth = 8;
// What the ranges of a shard of several files take in the message that gives a task, about: some
// thousand paths; and of a range besides its path.
constexpr size_t kMessageBytesMax = 256 << 10;
constexpr size_t kPlaceBytes = 32;

absl::Status CheckInside(const std::string& path, std::string_view start, bool is_plain_text) {
  const auto kind = RecogniseFileKind(start);
  if (!kind || (is_plain_text && kind->may_be_text)) return absl::OkStatus();
  return InvalidArgument(path + " holds " + std::string(kind->name) + "; unpack it. Then " +
                         std::string(kind->advice));
}

// Cuts one source. Holds the bytes of a range at a time.
class SourcePlanner {
 public:
  SourcePlanner(const jobs::DataSpec& data, std::string path)
      : data_(data), path_(std::move(path)) {}

  // Returns the digest of the bytes.
  absl::StatusOr<std::string> Plan(std::vector<SourceRange>* ranges) {
    ASSIGN_OR_RETURN(source_, SourceText::Open(*Env::Posix(), path_, &digest_));
    while (!source_->at_end() || !buffer_.empty()) {
      ASSIGN_OR_RETURN(const uint64_t bytes, BytesOfNextRange());
      Take(bytes, ranges);
      if (ranges->size() > kShardsMax) return TooManyShards();
    }
    return digest_.HexDigest();
  }

 private:
  absl::Status Read(uint64_t bytes) {
    const absl::Status read = source_->Read(bytes, &buffer_);
    if (!absl::IsDataLoss(read)) return read;
    return InvalidArgument(MessageOf(read) + "; get or pack the file again");
  }

  // Leaves in the buffer at least the bytes of the range that begins at begin_.
  absl::StatusOr<uint64_t> BytesOfNextRange() {
    uint64_t shard_bytes = data_.shard_bytes;
    if (source_->is_packed()) shard_bytes = std::max(shard_bytes, begin_ / kPackedGrowth);
    uint64_t wanted = shard_bytes + kSearchBytes;
    while (true) {
      if (wanted > buffer_.size()) RETURN_IF_ERROR(Read(wanted - buffer_.size()));
      if (begin_ == 0 && source_->is_packed()) {
        RETURN_IF_ERROR(CheckInside(path_, buffer_, data_.format == jobs::DataFormat::kText));
      }
      if (buffer_.size() > shard_bytes) {
        const size_t start = FindDocumentStart(RuleOf(data_), buffer_, shard_bytes);
        if (start != std::string::npos) return start;
      }
      if (source_->at_end()) return buffer_.size();
      wanted *= 2;  // doubling reads a long document only a few times
    }
  }

  void Take(uint64_t bytes, std::vector<SourceRange>* ranges) {
    const std::string_view text = std::string_view(buffer_).substr(0, bytes);
    if (!IsBlank(begin_ == 0 ? WithoutByteOrderMark(text) : text)) {
      ranges->push_back(
          {.path = path_, .begin = begin_, .end = begin_ + bytes, .xxh3 = Xxh3(text)});
    }
    begin_ += bytes;
    buffer_.erase(0, bytes);
  }

  const jobs::DataSpec& data_;
  const std::string path_;
  std::unique_ptr<SourceText> source_;
  uint64_t begin_ = 0;  // of the next range
  std::string buffer_;  // bytes from begin_ on
  Sha256 digest_;       // of the file's bytes read so far
};

// Puts the ranges of sources together to shards.
class SourceJoiner {
 public:
  explicit SourceJoiner(const jobs::DataSpec& data)
      : shard_bytes_(static_cast<uint64_t>(data.shard_bytes)) {
    size_t file = 0;
    for (const jobs::HeldoutPart& part : jobs::HeldoutPartsOf(data)) {
      part_begins_.insert(file);
      file += part.files;
    }
  }

  void Add(CutSource source) {
    if (part_begins_.contains(first_shards_.size())) is_open_ = false;
    plan_.source_digests.push_back(std::move(source.sha256));
    first_shards_.emplace_back();
    const bool is_one = source.ranges.size() == 1;
    for (SourceRange& range : source.ranges) {
      if (!is_one || !Fits(range)) Begin();
      if (!first_shards_.back()) {
        first_shards_.back() = static_cast<uint32_t>(plan_.shards.size()) - 1;
      }
      bytes_ += range.end - range.begin;
      message_bytes_ += range.path.size() + kPlaceBytes;
      plan_.shards.back().push_back(std::move(range));
    }
    if (!source.ranges.empty()) is_open_ = is_one;
  }

  ShardPlan Finish() {
    plan_.files = FileShards(std::move(first_shards_), static_cast<uint32_t>(plan_.shards.size()));
    return std::move(plan_);
  }

 private:
  // Whether the range may go into the last shard.
  bool Fits(const SourceRange& range) const {
    return is_open_ && bytes_ + (range.end - range.begin) <= shard_bytes_ &&
           message_bytes_ + range.path.size() + kPlaceBytes <= kMessageBytesMax;
  }

  void Begin() {
    plan_.shards.emplace_back();
    bytes_ = message_bytes_ = 0;
  }

  const uint64_t shard_bytes_;
  std::set<size_t> part_begins_;  // files
  ShardPlan plan_;
  std::vector<std::optional<uint32_t>> first_shards_;
  bool is_open_ = false;                    // the last shard, for another file
  uint64_t bytes_ = 0, message_bytes_ = 0;  // of it; of a task that reads it, about
};

}  // namespace

std::vector<SourceRange> RangesOf(const ShardPlan& plan) {
  std::vector<SourceRange> ranges;
  for (const Shard& shard : plan.shards) ranges.insert(ranges.end(), shard.begin(), shard.end());
  return ranges;
}

absl::Status TooManyShards() {
  return InvalidArgument("the sources fall into more than " + std::to_string(kShardsMax) +
                         " shards: raise [data] shard_bytes");
}

absl::StatusOr<CutSource> Cut(const jobs::DataSpec& data, const std::string& path) {
  HALCYON_CHECK(data.shard_bytes >= 1);
  if (data.format == jobs::DataFormat::kTokens) return CutTokens(data, path);
  CutSource source;
  ASSIGN_OR_RETURN(source.sha256, SourcePlanner(data, path).Plan(&source.ranges));
  return source;
}

absl::StatusOr<ShardPlan> JoinSources(const jobs::DataSpec& data, std::vector<CutSource> sources) {
  SourceJoiner joiner(data);
  for (CutSource& source : sources) joiner.Add(std::move(source));
  ShardPlan plan = joiner.Finish();
  if (plan.shards.size() > kShardsMax) return TooManyShards();
  if (plan.shards.empty()) {
    const std::vector<std::string> files = data.Files();
    return InvalidArgument("no document in " + std::to_string(files.size()) + " source file(s)" +
                           (files.empty() ? "" : ", the first being " + files[0]) +
                           ": name at least one file with text in [data] sources");
  }
  return plan;
}

absl::StatusOr<ShardPlan> PlanShards(const jobs::DataSpec& data) {
  std::vector<CutSource> sources;
  for (const std::string& path : data.Files()) {
    ASSIGN_OR_RETURN(CutSource source, Cut(data, path));
    sources.push_back(std::move(source));
  }
  return JoinSources(data, std::move(sources));
}

absl::Status SourceChanged(const std::string& path, const std::string& how) {
  return FailedPrecondition(path + ": the file changed while the job ran (" + how +
                            "): leave the sources alone, and run the same command again");
}

}  // namespace halcyon::pipeline
