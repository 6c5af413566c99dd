#include "jobs/source_names.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace halcyon::jobs {
namespace {

namespace fs = std::filesystem;

absl::Status Unreadable(const fs::path& folder, const std::error_code& error) {
  return InvalidArgument("cannot list " + folder.string() + ": " + error.message() +
                         "; make it readable, or name its files");
}

absl::StatusOr<std::vector<std::string>> FilesBelow(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->path().filename().string().starts_with('.')) {
      at.disable_recursion_pending();
    } else if (std::error_code unknown; at->is_regular_file(unknown)) {
      files.push_back(at->path().string());
    }
  }
  if (error) return Unreadable(folder, error);
  if (files.empty()) {
    return InvalidArgument(folder + " is a folder without files; name a file or another folder");
  }
  return files;
}

absl::StatusOr<std::vector<std::string>> FilesMatching(const std::string& pattern) {
  glob_t found = {};
  const int result = glob(pattern.c_str(), GLOB_NOSORT, /*errfunc=*/nullptr, &found);
  std::vector<std::string> files;
  for (size_t i = 0; result == 0 && i < found.gl_pathc; ++i) {
    std::error_code unknown;
    if (fs::is_regular_file(found.gl_pathv[i], unknown)) files.emplace_back(found.gl_pathv[i]);
  }
  globfree(&found);
  if (files.empty()) {
    return InvalidArgument(pattern +
                           " matches no file; correct the pattern, which counts from the folder of "
                           "the job file");
  }
  return files;
}

constexpr std::string_view kIdsEnding = ".bin", kIndexEnding = ".idx";

bool IsFile(const std::string& path) {
  std::error_code unknown;
  return fs::is_regular_file(path, unknown);
}

}  // namespace

std::string IndexNameOf(const std::string& file) {
  if (!file.ends_with(kIdsEnding)) return "";
  return file.substr(0, file.size() - kIdsEnding.size()).append(kIndexEnding);
}

std::string IdsNameOf(const std::string& file) {
  if (!file.ends_with(kIndexEnding)) return "";
  return file.substr(0, file.size() - kIndexEnding.size()).append(kIdsEnding);
}

std::string IndexOfIds(const std::string& file) {
  const std::string index = IndexNameOf(file);
  return !index.empty() && IsFile(index) ? index : "";
}

std::string IdsOfIndex(const std::string& file) {
  const std::string ids = IdsNameOf(file);
  return !ids.empty() && IsFile(ids) ? ids : "";
}

bool MayBeSource(const FileKind& kind, DataFormat format) {
  // Ids may begin with any bytes.
  if (format == DataFormat::kTokens) return kind.compression == Compression::kNone;
  return kind.compression != Compression::kNone ||
         (format == DataFormat::kText && kind.may_be_text);
}

absl::StatusOr<std::vector<std::string>> FilesNamed(const std::string& name) {
  std::error_code unknown;
  const fs::file_status status = fs::status(name, unknown);
  absl::StatusOr<std::vector<std::string>> files = std::vector<std::string>{name};
  if (fs::is_directory(status)) {
    files = FilesBelow(name);
  } else if (!fs::exists(status) && name.find_first_of("*?[") != std::string::npos) {
    files = FilesMatching(name);
  }
  if (files.ok()) std::ranges::sort(*files);
  return files;
}

}  // namespace halcyon::jobs
