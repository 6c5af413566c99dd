// What a file is by its first bytes, so that a compressed or otherwise wrong file is named at once
// instead of being read as text, JSON or weights.
#ifndef HALCYON_BASE_FILE_KIND_H_
#define HALCYON_BASE_FILE_KIND_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/status.h"

namespace halcyon {

// As many bytes of a file's start as RecogniseFileKind can make use of.
inline constexpr size_t kFileKindBytes = 1024;

// How a file is packed that holds one other file.
enum class Compression { kNone, kGzip, kZstd };

struct FileKind {
  std::string_view name;    // "a gzip file"
  std::string_view advice;  // "unpack it (gunzip) and name the result"
  // The file may still be what a text file should be: a page of HTML is text.
  bool may_be_text = false;
  Compression compression = Compression::kNone;  // that Halcyon's readers of text unpack
};

// nullopt for text, JSON and every kind that is not known. `start`: the file's first bytes, at most
// kFileKindBytes of which are looked at.
std::optional<FileKind> RecogniseFileKind(std::string_view start);

// The same for an existing file.
absl::StatusOr<std::optional<FileKind>> RecogniseFileKind(Env& env, const std::string& path);

// For a reader that could not parse a file: the error, with the file's kind put before it where
// that is known: "is a gzip file, not weights; unpack it ... (the error)", with the error's code.
// `own_kind`: the name of the kind that the reader is for; such a file gets the error unchanged.
absl::Status ExplainByFileKind(const absl::Status& error, std::string_view start,
                               std::string_view expected, std::string_view own_kind = "");

// The same; reads the start of the file at `path`.
absl::Status ExplainByFileKind(const absl::Status& error, Env& env, const std::string& path,
                               std::string_view expected, std::string_view own_kind = "");

}  // namespace halcyon

#endif  // HALCYON_BASE_FILE_KIND_H_
