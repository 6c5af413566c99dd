// The files that a job names.
#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "base/env.h"
#include "base/file_kind.h"
#include "jobs/hosts.h"
#include "jobs/source_names.h"
#include "jobs/spec_checks.h"

namespace halcyon::jobs {
namespace {

class FileChecker {
 public:
  FileChecker(JobSpec& spec, const SpecLines& lines, SpecErrors& errors)
      : spec_(spec), lines_(lines), errors_(errors) {}

  void Resolve(const std::string& base_dir, bool check_files) {
    if (lines_.Has("data.sources") && spec_.data.sources.empty()) {
      Refuse({"data.sources"}, "is empty; name at least one file");
    }
    spec_.data.sources = Resolved("data.sources", spec_.data.sources, base_dir, check_files);
    for (size_t i = 0; i < spec_.data.source.size(); ++i) {
      std::vector<std::string>& paths = spec_.data.source[i].paths;
      paths = Resolved(fmt::format("data.source[{}].paths", i), paths, base_dir, check_files);
    }
    std::vector<std::string>& heldout = spec_.data.heldout_sources;
    heldout = Resolved("data.heldout_sources", heldout, base_dir, check_files);
    std::string& hostfile = spec_.launch.placement.hostfile;
    if (!hostfile.empty()) {
      hostfile = Absolute(base_dir, hostfile);
      if (check_files) CheckHostfile(hostfile);
    }
    if (spec_.tokenizer.path.empty()) return;
    spec_.tokenizer.path = Absolute(base_dir, spec_.tokenizer.path);
    if (check_files) CheckFile("tokenizer.path", spec_.tokenizer.path, /*source=*/std::nullopt);
  }

 private:
  // The files that the list at `key` names.
  std::vector<std::string> Resolved(const std::string& key, const std::vector<std::string>& names,
                                    const std::string& base_dir, bool check_files) {
    std::vector<std::string> files;
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string path = fmt::format("{}[{}]", key, i);
      if (names[i].empty()) {
        Refuse({path}, "is empty; name a file");
        continue;
      }
      const std::string name = Absolute(base_dir, names[i]);
      absl::StatusOr<std::vector<std::string>> named = std::vector<std::string>{name};
      if (check_files) named = FilesNamed(name);
      if (!named.ok()) {
        Refuse({path}, MessageOf(named.status()));
        continue;
      }
      const bool is_named = named->size() == 1 && named->front() == name;
      const bool has_indexes = check_files && spec_.data.format == DataFormat::kTokens;
      for (std::string& file : *named) {
        if (const std::string ids = has_indexes ? IdsOfIndex(file) : ""; !ids.empty()) {
          if (seen_.contains(ids)) continue;  // they have brought it along
          file = ids;
        }
        const std::string index = has_indexes ? IndexOfIds(file) : "";
        Add(path, std::move(file), is_named, check_files, &files);
        if (!index.empty()) Add(path, index, is_named, check_files, &files);
      }
    }
    return files;
  }

  // `is_named`: the file itself, not a folder or pattern that stands for it.
  void Add(const std::string& path, std::string file, bool is_named, bool check_files,
           std::vector<std::string>* files) {
    if (!seen_.insert(file).second) {
      Refuse({path}, file + " is named twice; remove one of the two");
    } else if (check_files) {
      CheckFile(path, file, spec_.data.format, is_named);
    }
    files->push_back(std::move(file));
  }

  void Refuse(const std::vector<std::string>& paths, const std::string& message) {
    jobs::Refuse(paths, message, lines_, errors_);
  }

  static std::string Absolute(const std::string& base_dir, const std::string& path) {
    const std::filesystem::path joined = std::filesystem::path(base_dir) / path;
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(joined, error);
    return (error ? joined : absolute).lexically_normal().string();
  }

  void CheckHostfile(const std::string& file) {
    const absl::StatusOr<std::string> text = Env::Posix()->ReadFile(file);
    if (!text.ok()) {
      Refuse({"launch.hostfile"}, MessageOf(text.status()));
      return;
    }
    const auto hosts = ParseHostfile(*text, file);
    if (!hosts.ok()) Refuse({"launch.hostfile"}, MessageOf(hosts.status()));
  }

  // `source`: what is read from it, of a source of text. One of many texts may be empty.
  void CheckFile(const std::string& key_path, const std::string& file,
                 std::optional<DataFormat> source, bool is_named = true) {
    const absl::StatusOr<uint64_t> size = Env::Posix()->FileSize(file);
    if (!size.ok()) {
      Refuse({key_path}, MessageOf(size.status()) +
                             "; correct the name, which counts from the folder of the job file");
    } else if (*size == 0 && !is_named && source != DataFormat::kTokens) {
      return;
    } else if (*size == 0) {
      Refuse({key_path}, file + " is empty; put text into it or remove it here");
    } else if (const auto kind = RecogniseFileKind(*Env::Posix(), file); !kind.ok()) {
      Refuse({key_path}, MessageOf(kind.status()) + "; make the file readable");
    } else if (*kind && !(source && MayBeSource(**kind, *source))) {
      Refuse({key_path}, fmt::format("{} is {}; {}", file, (*kind)->name, (*kind)->advice));
    } else if (source == DataFormat::kTokens) {
      CheckHasIds(key_path, file);
    }
  }

  // An index alone says where documents begin in ids that are not there.
  void CheckHasIds(const std::string& key_path, const std::string& file) {
    const std::string ids = IdsNameOf(file);
    if (ids.empty() || !IdsOfIndex(file).empty()) return;
    Refuse({key_path}, fmt::format("{} is the index of ids in {}, which is not there; put both "
                                   "into one folder and name {}",
                                   file, ids, BaseName(ids)));
  }

  JobSpec& spec_;
  const SpecLines& lines_;
  SpecErrors& errors_;
  std::set<std::string> seen_;  // sources
};

}  // namespace

void ResolveFiles(const std::string& base_dir, bool check_files, const SpecLines& lines,
                  JobSpec* spec, SpecErrors& errors) {
  FileChecker(*spec, lines, errors).Resolve(base_dir, check_files);
}

}  // namespace halcyon::jobs
