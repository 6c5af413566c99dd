#include "pipeline/token_files/token_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/file_kind.h"
#include "jobs/source_names.h"
#include "pipeline/npy.h"
#include "pipeline/token_files/megatron_index.h"

namespace halcyon::pipeline {
namespace {

// https://github.com/karpathy/llm.c, dev/data/data_common.py
struct LlmcHeader {
  int32_t magic, version;
  uint32_t id_bytes;
};
constexpr std::array kLlmcHeaders = {LlmcHeader{20240520, 1, 2}, LlmcHeader{20240801, 7, 4}};
constexpr uint64_t kLlmcHeaderBytes = 256 * sizeof(int32_t);

std::optional<IdType> TypeOfNpy(std::string_view type) {
  if (type == "'<u2'") return IdType{2, false};
  if (type == "'<i2'") return IdType{2, true};
  if (type == "'<u4'") return IdType{4, false};
  if (type == "'<i4'") return IdType{4, true};
  if (type == "'<u8'") return IdType{8, false};
  if (type == "'<i8'") return IdType{8, true};
  return std::nullopt;
}

absl::StatusOr<TokenLayout> CheckSize(const std::string& name, TokenLayout layout,
                                      uint64_t file_bytes) {
  const uint64_t bytes = file_bytes - std::min(file_bytes, layout.begin);
  if (bytes % layout.type.bytes == 0 && bytes / layout.type.bytes == layout.count) return layout;
  return InvalidArgument(
      fmt::format("{}: {} bytes of data for {} ids of {} bytes, as its header says; it is cut "
                  "short or damaged: copy or make it again",
                  name, bytes, layout.count, layout.type.bytes));
}

absl::StatusOr<TokenLayout> ParseNpy(const std::string& name, std::string_view start,
                                     uint64_t file_bytes) {
  ASSIGN_OR_RETURN(const NpyHeader header, ParseNpyHeader(start), name);
  const std::optional<IdType> type = TypeOfNpy(header.type);
  if (!type || !header.count) {
    return InvalidArgument(fmt::format(
        "{}: an array of type {} and shape {}; one dimension of little-endian integers of 2, 4 or "
        "8 bytes is needed ('<u2', '<u4', '<i4', '<i8')",
        name, header.type, header.shape));
  }
  return CheckSize(name, {"a NumPy array of " + type->Name(), *type, header.begin, *header.count},
                   file_bytes);
}

// nullopt: no such header.
std::optional<absl::StatusOr<TokenLayout>> ParseLlmc(const std::string& name,
                                                     std::string_view start, uint64_t file_bytes) {
  if (start.size() < kLlmcHeaderBytes) return std::nullopt;
  const auto magic = IntegerAt<int32_t>(start, 0), version = IntegerAt<int32_t>(start, 1);
  for (const LlmcHeader& header : kLlmcHeaders) {
    if (magic != header.magic || version != header.version) continue;
    const IdType type{header.id_bytes, false};
    const auto count = IntegerAt<uint32_t>(start, 2);
    return CheckSize(name, {"llm.c's form, " + type.Name(), type, kLlmcHeaderBytes, count},
                     file_bytes);
  }
  return std::nullopt;
}

absl::StatusOr<TokenLayout> WithoutHeader(const std::string& name, std::string_view start,
                                          uint64_t file_bytes, jobs::TokenType stored) {
  if (stored == jobs::TokenType::kAuto) {
    return Annotate(
        ExplainByFileKind(
            InvalidArgument("no header says how its ids are stored; if it holds nothing but ids, "
                            "write [data] token_type = \"uint16\" (as nanoGPT does) or \"uint32\""),
            start, "ids", "a NumPy array"),
        name);
  }
  const IdType type{stored == jobs::TokenType::kUint16 ? 2u : 4u, false};
  if (file_bytes % type.bytes != 0) {
    return InvalidArgument(fmt::format(
        "{}: {} bytes are no whole number of ids of {} bytes; correct [data] token_type, or copy "
        "the file again",
        name, file_bytes, type.bytes));
  }
  return TokenLayout{type.Name() + " without header", type, 0, file_bytes / type.bytes};
}

}  // namespace

absl::StatusOr<TokenLayout> ParseTokenLayout(const std::string& name, std::string_view start,
                                             uint64_t file_bytes, jobs::TokenType type) {
  if (IsNpy(start)) return ParseNpy(name, start, file_bytes);
  if (auto llmc = ParseLlmc(name, start, file_bytes)) return *std::move(llmc);
  return WithoutHeader(name, start, file_bytes, type);
}

absl::StatusOr<TokenLayout> ReadTokenLayout(Env& env, const std::string& path,
                                            jobs::TokenType type) {
  ASSIGN_OR_RETURN(const uint64_t size, env.FileSize(path));
  const std::string index_path = jobs::IndexOfIds(path);
  if (index_path.empty()) {
    ASSIGN_OR_RETURN(const std::string start, env.ReadRange(path, 0, std::min(size, kLayoutBytes)));
    return ParseTokenLayout(path, start, size, type);
  }
  ASSIGN_OR_RETURN(MegatronIndex index, MegatronIndex::Open(env, index_path));
  ASSIGN_OR_RETURN(const uint64_t bytes, index.Bytes());
  if (bytes != size) {
    return InvalidArgument(fmt::format(
        "{} has {} bytes, but by its index {} it has {}; the two do not belong together, or one "
        "is cut short",
        path, size, index_path, bytes));
  }
  const IdType stored = index.type();
  return TokenLayout{"Megatron's form, " + stored.Name(), stored, 0, size / stored.bytes};
}

}  // namespace halcyon::pipeline
