#include "pipeline/token_files/megatron_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/file_kind.h"

namespace halcyon::pipeline {
namespace {

constexpr std::string_view kIndexMagic{"MMIDIDX\0\0", 9};
constexpr std::string_view kOlderIndexMagic = "TNTIDX";  // of the form that is not mapped
constexpr uint64_t kIndexVersion = 1;
constexpr uint64_t kIndexHeaderBytes = 34, kTypeAt = 17, kSequencesAt = 18, kDocumentsAt = 26;
// What is read at a time: small, since a search reads a block for each step.
constexpr uint64_t kIndexBlockBytes = 16 << 10;
// More sequences than any file has; keeps sums far from overflow.
constexpr uint64_t kEntriesMax = uint64_t{1} << 48;

std::optional<IdType> TypeOfCode(uint8_t code) {
  switch (code) {
    case 1:
      return IdType{1, false};
    case 2:
      return IdType{1, true};
    case 3:
      return IdType{2, true};
    case 4:
      return IdType{4, true};
    case 5:
      return IdType{8, true};
    case 8:
      return IdType{2, false};
    default:
      return std::nullopt;
  }
}

absl::Status NoIndex(const std::string& name, std::string_view start) {
  if (start.starts_with(kOlderIndexMagic)) {
    return InvalidArgument(name +
                           ": an index of the older form TNTIDX; write the data set anew "
                           "with the implementation \"mmap\"");
  }
  return Annotate(ExplainByFileKind(InvalidArgument("not an index of Megatron-LM (MMIDIDX)"), start,
                                    "an index of ids"),
                  name);
}

}  // namespace

template <typename Integer>
absl::StatusOr<Integer> MegatronIndex::Column<Integer>::At(const ReadBytes& read, uint64_t i) {
  constexpr uint64_t kEntries = kIndexBlockBytes / sizeof(Integer);
  HALCYON_CHECK(i < count_);
  if (const uint64_t block = i / kEntries; bytes_.empty() || block != block_) {
    const uint64_t entries = std::min(kEntries, count_ - block * kEntries);
    ASSIGN_OR_RETURN(bytes_, read(begin_ + block * kIndexBlockBytes, entries * sizeof(Integer)));
    block_ = block;
  }
  return IntegerAt<Integer>(bytes_, i % kEntries);
}

MegatronIndex::MegatronIndex(std::string name, ReadBytes read, IdType type, uint64_t sequences,
                             uint64_t document_entries)
    : name_(std::move(name)),
      read_(std::move(read)),
      type_(type),
      sequences_(sequences),
      document_entries_(document_entries),
      lengths_(kIndexHeaderBytes, sequences),
      pointers_(kIndexHeaderBytes + 4 * sequences, sequences),
      documents_(kIndexHeaderBytes + 12 * sequences, document_entries) {}

absl::StatusOr<MegatronIndex> MegatronIndex::Parse(std::string name, uint64_t file_bytes,
                                                   ReadBytes read) {
  ASSIGN_OR_RETURN(const std::string header, read(0, std::min(file_bytes, kIndexHeaderBytes)));
  if (!header.starts_with(kIndexMagic) || header.size() < kIndexHeaderBytes)
    return NoIndex(name, header);
  const uint64_t version =
      IntegerAt<uint64_t>(std::string_view(header).substr(kIndexMagic.size()), 0);
  if (version != kIndexVersion) {
    return InvalidArgument(fmt::format("{}: an index of version {}; version {} can be read", name,
                                       version, kIndexVersion));
  }
  const auto code = static_cast<uint8_t>(header[kTypeAt]);
  const std::optional<IdType> type = TypeOfCode(code);
  if (!type) {
    return InvalidArgument(
        fmt::format("{}: ids of type {}; integers (1 to 5, 8) can be read", name, code));
  }
  const std::string_view bytes = header;
  const auto sequences = IntegerAt<uint64_t>(bytes.substr(kSequencesAt), 0);
  const auto documents = IntegerAt<uint64_t>(bytes.substr(kDocumentsAt), 0);
  const bool fits = sequences <= kEntriesMax && documents <= kEntriesMax && documents >= 1;
  const uint64_t needed = fits ? kIndexHeaderBytes + 12 * sequences + 8 * documents : 0;
  if (!fits || (file_bytes != needed && file_bytes != needed + sequences)) {
    return InvalidArgument(
        fmt::format("{}: {} bytes do not fit {} sequences and {} entries of documents; it is "
                    "damaged or cut short: copy or make it again",
                    name, file_bytes, sequences, documents));
  }
  return MegatronIndex(std::move(name), std::move(read), *type, sequences, documents);
}

absl::StatusOr<MegatronIndex> MegatronIndex::Open(Env& env, const std::string& path) {
  ASSIGN_OR_RETURN(const uint64_t size, env.FileSize(path));
  return Parse(path, size, [&env, path](uint64_t offset, uint64_t bytes) {
    return env.ReadRange(path, offset, bytes);
  });
}

absl::Status MegatronIndex::Bad(const std::string& what) const {
  return InvalidArgument(name_ + ": " + what + "; copy or make it again");
}

absl::StatusOr<uint64_t> MegatronIndex::EndOf(uint64_t sequence) {
  ASSIGN_OR_RETURN(const int32_t length, lengths_.At(read_, sequence));
  ASSIGN_OR_RETURN(const int64_t pointer, pointers_.At(read_, sequence));
  constexpr int64_t kPointerMax = int64_t{1} << 62;
  if (length < 0 || pointer < 0 || pointer > kPointerMax) {
    return Bad(fmt::format("sequence {} has {} ids from byte {} on", sequence, length, pointer));
  }
  return static_cast<uint64_t>(pointer) + static_cast<uint64_t>(length) * type_.bytes;
}

absl::StatusOr<uint64_t> MegatronIndex::SequenceAt(uint64_t document) {
  ASSIGN_OR_RETURN(const int64_t sequence, documents_.At(read_, document));
  if (sequence < 0 || static_cast<uint64_t>(sequence) > sequences_) {
    return Bad(
        fmt::format("document {} begins at sequence {} of {}", document, sequence, sequences_));
  }
  return static_cast<uint64_t>(sequence);
}

absl::StatusOr<uint64_t> MegatronIndex::Bytes() {
  if (sequences_ == 0) return 0;
  return EndOf(sequences_ - 1);
}

absl::StatusOr<uint64_t> MegatronIndex::Start(uint64_t document) {
  ASSIGN_OR_RETURN(const uint64_t sequence, SequenceAt(document));
  // Where the one before it ends is known without a gap to be where it begins.
  return sequence == 0 ? 0 : EndOf(sequence - 1);
}

absl::StatusOr<uint64_t> MegatronIndex::FirstFrom(uint64_t offset) {
  uint64_t low = 0, high = documents();
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    ASSIGN_OR_RETURN(const uint64_t start, Start(middle));
    if (start >= offset) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

absl::Status MegatronIndex::Check() {
  uint64_t end = 0;
  for (uint64_t sequence = 0; sequence < sequences_; ++sequence) {
    ASSIGN_OR_RETURN(const int64_t pointer, pointers_.At(read_, sequence));
    if (pointer < 0 || static_cast<uint64_t>(pointer) != end) {
      return Bad(fmt::format("sequence {} begins at byte {}, the one before it ends at {}",
                             sequence, pointer, end));
    }
    ASSIGN_OR_RETURN(end, EndOf(sequence));
  }
  uint64_t before = 0;
  for (uint64_t document = 0; document < document_entries_; ++document) {
    ASSIGN_OR_RETURN(const uint64_t sequence, SequenceAt(document));
    if (sequence < before || (document == 0 && sequence != 0)) {
      return Bad(fmt::format("document {} begins at sequence {}, before the one before it",
                             document, sequence));
    }
    before = sequence;
  }
  if (before == sequences_) return absl::OkStatus();
  return InvalidArgument(
      fmt::format("{}: its documents end at sequence {} of {}: the program that wrote it has to "
                  "call end_document after each document",
                  name_, before, sequences_));
}

}  // namespace halcyon::pipeline
