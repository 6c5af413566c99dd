// Verbs that damage files on the disk.
#ifndef HALCYON_TESTS_STORAGE_DAMAGE_H_
#define HALCYON_TESTS_STORAGE_DAMAGE_H_

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/env.h"

namespace halcyon::storage {

inline std::string Read(const std::string& path) { return *Env::Posix()->ReadFile(path); }

inline void Overwrite(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  HALCYON_CHECK(file.good());
}

inline void FlipBit(const std::string& path, uint64_t offset, int bit = 0) {
  std::string bytes = Read(path);
  HALCYON_CHECK(offset < bytes.size());
  bytes[offset] = static_cast<char>(bytes[offset] ^ (1 << bit));
  Overwrite(path, bytes);
}

// Cuts the last `bytes` off.
inline void Truncate(const std::string& path, uint64_t bytes) {
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - bytes);
}

// Paths of the folder's files whose names end so, sorted.
inline std::vector<std::string> FilesEnding(const std::string& dir, const std::string& ending) {
  std::vector<std::string> paths;
  const auto names = Env::Posix()->ListDir(dir);
  for (const std::string& name : *names) {
    if (name.ends_with(ending)) paths.push_back(JoinPath(dir, name));
  }
  return paths;
}

}  // namespace halcyon::storage

#endif  // HALCYON_TESTS_STORAGE_DAMAGE_H_
