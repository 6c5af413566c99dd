#include "pipeline/shard_plan.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/file_kind.h"
#include "pipeline/document_cutter.h"
#include "pipeline/source_text.h"
#include "pipeline/token_files/token_cut.h"

namespace halcyon::pipeline {
namespace {

constexpr uint64_t kSearchBytes = 1 << 20;
// To read a shard of a packed file what is before it is unpacked, too. Shards that grow with their
// position, each 1/8 of what precedes it, make that eight times the file in all.
constexpr uint64_t kPackedGrowth = 8;

absl::Status CheckInside(const std::string& path, std::string_view start, bool is_plain_text) {
  const auto kind = RecogniseFileKind(start);
  if (!kind || (is_plain_text && kind->may_be_text)) return absl::OkStatus();
  return InvalidArgument(path + " holds " + std::string(kind->name) + "; unpack it. Then " +
                         std::string(kind->advice));
}

// Cuts one source. Holds the bytes of a shard at a time.
class SourcePlanner {
 public:
  SourcePlanner(const jobs::DataSpec& data, std::string path)
      : data_(data), path_(std::move(path)) {}

  // Returns the digest of the bytes.
  absl::StatusOr<std::string> Plan(std::vector<SourceShard>* shards) {
    ASSIGN_OR_RETURN(source_, SourceText::Open(*Env::Posix(), path_, &digest_));
    while (!source_->at_end() || !buffer_.empty()) {
      ASSIGN_OR_RETURN(const uint64_t bytes, BytesOfNextShard());
      Take(bytes, shards);
      if (shards->size() > kShardsMax) return TooManyShards();
    }
    return digest_.HexDigest();
  }

 private:
  absl::Status Read(uint64_t bytes) {
    const absl::Status read = source_->Read(bytes, &buffer_);
    if (!absl::IsDataLoss(read)) return read;
    return InvalidArgument(MessageOf(read) + "; get or pack the file again");
  }

  // Leaves in the buffer at least the bytes of the shard that begins at begin_.
  absl::StatusOr<uint64_t> BytesOfNextShard() {
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

  void Take(uint64_t bytes, std::vector<SourceShard>* shards) {
    const std::string_view text = std::string_view(buffer_).substr(0, bytes);
    if (!IsBlank(text)) {
      shards->push_back(
          {.path = path_, .begin = begin_, .end = begin_ + bytes, .xxh3 = Xxh3(text)});
    }
    begin_ += bytes;
    buffer_.erase(0, bytes);
  }

  const jobs::DataSpec& data_;
  const std::string path_;
  std::unique_ptr<SourceText> source_;
  uint64_t begin_ = 0;  // of the next shard
  std::string buffer_;  // bytes from begin_ on
  Sha256 digest_;       // of the file's bytes read so far
};

}  // namespace

absl::Status TooManyShards() {
  return InvalidArgument("the sources fall into more than " + std::to_string(kShardsMax) +
                         " shards: raise [data] shard_bytes");
}

absl::StatusOr<CutSource> Cut(const jobs::DataSpec& data, const std::string& path) {
  HALCYON_CHECK(data.shard_bytes >= 1);
  if (data.format == jobs::DataFormat::kTokens) return CutTokens(data, path);
  CutSource source;
  ASSIGN_OR_RETURN(source.sha256, SourcePlanner(data, path).Plan(&source.shards));
  return source;
}

absl::StatusOr<ShardPlan> JoinSources(const jobs::DataSpec& data, std::vector<CutSource> sources) {
  ShardPlan plan;
  for (CutSource& source : sources) {
    plan.source_digests.push_back(std::move(source.sha256));
    for (SourceShard& shard : source.shards) {
      shard.shard = static_cast<uint32_t>(plan.shards.size());
      plan.shards.push_back(std::move(shard));
    }
    if (plan.shards.size() > kShardsMax) return TooManyShards();
  }
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

std::vector<uint32_t> ShardsOfSources(const jobs::DataSpec& data, const ShardPlan& plan) {
  const std::vector<std::string> files = data.Files();
  std::vector<uint32_t> counts(files.size());
  size_t file = 0;
  for (const SourceShard& shard : plan.shards) {
    while (files[file] != shard.path) ++file;
    ++counts[file];
  }
  return counts;
}

std::vector<uint32_t> ShardsOfSources(const nlohmann::json& facts) {
  const auto found = facts.find(kShardsOfSources);
  if (found == facts.end()) return {};
  try {
    return found->get<std::vector<uint32_t>>();
  } catch (const nlohmann::json::exception&) {
    return {};
  }
}

bool AreShardsOf(const jobs::DataSpec& data, const std::vector<uint32_t>& shards_of_files,
                 uint32_t shards) {
  return shards_of_files.size() == data.Files().size() &&
         std::accumulate(shards_of_files.begin(), shards_of_files.end(), uint64_t{0}) == shards;
}

uint32_t HeldoutShards(const nlohmann::json& facts) {
  const auto found = facts.find(kHeldoutShards);
  return found != facts.end() && found->is_number_unsigned() ? found->get<uint32_t>() : 0;
}

absl::Status SourceChanged(const std::string& path, const std::string& how) {
  return FailedPrecondition(path + ": the file changed while the job ran (" + how +
                            "): leave the sources alone, and run the same command again");
}

}  // namespace halcyon::pipeline
