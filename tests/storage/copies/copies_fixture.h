// A published generation, and a folder of this machine that copies of it go to.
#ifndef HALCYON_TESTS_STORAGE_COPIES_COPIES_FIXTURE_H_
#define HALCYON_TESTS_STORAGE_COPIES_COPIES_FIXTURE_H_

#include <filesystem>
#include <memory>
#include <string>

#include "storage/cache_manifest.h"
#include "storage/copies/copied_reader.h"
#include "storage/copies/host_copy.h"
#include "tests/storage/cache_fixture.h"

namespace halcyon::storage {

class CopiesTest : public CacheTest {
 protected:
  static constexpr uint32_t kShards = 3;

  explicit CopiesTest(Begin begin = Begin::kNow) : CacheTest(begin) {
    options_.folder = dir_.Path("local");
    std::filesystem::create_directory(options_.folder);
    options_.advanced = [this] { ++pieces_; };
  }

  // Everything that the generation holds, read through its copy; "" for good.
  std::string ReadAll(std::shared_ptr<const HostCopy> copy) {
    const auto reader = OpenCopied(std::move(copy), Generation(), kDataset);
    return reader.ok() ? ReadAll(**reader) : reader.status().ToString();
  }
  static std::string ReadAll(CacheReader& reader) {
    for (uint32_t shard = 0; shard < kShards; ++shard) {
      for (const auto& [key, value] : PagesOf(shard)) {
        const auto page = reader.Get(key);
        if (!page.ok()) return page.status().ToString();
        if (*page != value) return "another page";
      }
    }
    return "";
  }

  // In the folders of all copies.
  std::vector<std::string> FilesOfCopies() {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(options_.folder)) {
      if (entry.path().parent_path().filename() == "generation") paths.push_back(entry.path());
    }
    return paths;
  }
  // Of the copy of the generation, the SST file with the first page.
  static std::string SstOf(const HostCopy& copy) {
    return FilesEnding(copy.generation(), ".sst").at(0);
  }

  int pieces_ = 0;  // copied, or seen to be copied by others
  CopyOptions options_;
};

}  // namespace halcyon::storage

#endif  // HALCYON_TESTS_STORAGE_COPIES_COPIES_FIXTURE_H_
