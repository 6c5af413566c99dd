#include "base/file_kind.h"

#include <algorithm>
#include <cctype>

namespace halcyon {
namespace {

using namespace std::string_view_literals;

struct Signature {
  size_t offset;
  std::string_view bytes;
  FileKind kind;
};

constexpr std::string_view kUnpack = "unpack it and name the file inside";
constexpr std::string_view kConvert =
    "convert it to UTF-8 (iconv -f UTF-16 -t UTF-8 OLD > NEW, or -f UTF-32)";
constexpr std::string_view kExport = "export its text as a text file or as JSON lines";

// A longer signature stands before a shorter one that is its prefix.
constexpr Signature kSignatures[] = {
    {0,
     "\x1f\x8b\x08"sv,
     {"a gzip file", "unpack it (gunzip) and name the result", false, Compression::kGzip}},
    {0,
     "\x28\xb5\x2f\xfd"sv,
     {"a Zstandard file", "unpack it (unzstd) and name the result", false, Compression::kZstd}},
    {0,
     "\xfd"
     "7zXZ\x00"sv,
     {"an xz file", "unpack it (unxz) and name the result"}},
    {4, "1AY&SY"sv, {"a bzip2 file", "unpack it (bunzip2) and name the result"}},
    {0, "\x04\x22\x4d\x18"sv, {"an LZ4 file", "unpack it (unlz4) and name the result"}},
    {0, "PK\x03\x04"sv, {"a zip archive", kUnpack}},
    {0, "PK\x05\x06"sv, {"an empty zip archive", "name another file"}},
    {0, "7z\xbc\xaf\x27\x1c"sv, {"a 7-Zip archive", kUnpack}},
    {257, "ustar"sv, {"a tar archive", kUnpack}},
    {0, "PAR1\x15"sv, {"a Parquet file", kExport}},
    {0, "ARROW1\x00\x00"sv, {"an Arrow file", kExport}},
    {0, "\x89HDF\r\n\x1a\n"sv, {"an HDF5 file", kExport}},
    {0, "SQLite format 3\x00"sv, {"an SQLite database", kExport}},
    {0, "\x93NUMPY"sv, {"a NumPy array", kExport}},
    {0, "%PDF-"sv, {"a PDF document", kExport}},
    {0, "\xff\xfe\x00\x00"sv, {"text in UTF-32", kConvert}},
    {0, "\x00\x00\xfe\xff"sv, {"text in UTF-32", kConvert}},
    {0, "\xff\xfe"sv, {"text in UTF-16", kConvert}},
    {0, "\xfe\xff"sv, {"text in UTF-16", kConvert}},
    {0,
     "version https://git-lfs"sv,
     {"a Git LFS pointer, which only names the file", "fetch the file itself (git lfs pull)"}},
};

constexpr FileKind kHtml = {"a page of HTML", "download the file itself, or extract its text",
                            /*may_be_text=*/true};
constexpr FileKind kSafetensors = {"a safetensors file", "name a file with text"};

bool StartsWithIgnoringCase(std::string_view text, std::string_view lower_case) {
  return text.size() >= lower_case.size() &&
         std::equal(lower_case.begin(), lower_case.end(), text.begin(), [](char low, char c) {
           return low == std::tolower(static_cast<unsigned char>(c));
         });
}

bool IsHtml(std::string_view start) {
  if (start.starts_with("\xEF\xBB\xBF")) start.remove_prefix(3);
  start.remove_prefix(std::min(start.find_first_not_of(" \t\r\n"), start.size()));
  return StartsWithIgnoringCase(start, "<!doctype html") || StartsWithIgnoringCase(start, "<html");
}

// Eight bytes with the header's length, below 4 GiB, then the header, a JSON object.
bool IsSafetensors(std::string_view start) {
  return start.size() > 9 && start.substr(4, 4) == "\0\0\0\0"sv && start.substr(8, 2) == "{\"";
}

}  // namespace

std::optional<FileKind> RecogniseFileKind(std::string_view start) {
  for (const Signature& signature : kSignatures) {
    if (start.size() < signature.offset) continue;
    if (start.substr(signature.offset).starts_with(signature.bytes)) return signature.kind;
  }
  if (IsHtml(start)) return kHtml;
  if (IsSafetensors(start)) return kSafetensors;
  return std::nullopt;
}

absl::StatusOr<std::optional<FileKind>> RecogniseFileKind(Env& env, const std::string& path) {
  ASSIGN_OR_RETURN(const uint64_t size, env.FileSize(path));
  ASSIGN_OR_RETURN(const std::string start,
                   env.ReadRange(path, 0, std::min<uint64_t>(size, kFileKindBytes)));
  return RecogniseFileKind(start);
}

absl::Status ExplainByFileKind(const absl::Status& error, std::string_view start,
                               std::string_view expected, std::string_view own_kind) {
  const std::optional<FileKind> kind = RecogniseFileKind(start);
  if (error.ok() || !kind || kind->name == own_kind) return error;
  std::string message = "is ";
  message.append(kind->name).append(", not ").append(expected).append("; ").append(kind->advice);
  return MakeStatus(error.code(), message + " (" + MessageOf(error) + ")");
}

absl::Status ExplainByFileKind(const absl::Status& error, Env& env, const std::string& path,
                               std::string_view expected, std::string_view own_kind) {
  if (error.ok()) return error;
  const auto size = env.FileSize(path);
  if (!size.ok()) return error;
  const auto start = env.ReadRange(path, 0, std::min<uint64_t>(*size, kFileKindBytes));
  return start.ok() ? ExplainByFileKind(error, *start, expected, own_kind) : error;
}

}  // namespace halcyon
