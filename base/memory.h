// How much memory this process may use.
#ifndef HALCYON_BASE_MEMORY_H_
#define HALCYON_BASE_MEMORY_H_

#include <cstdint>
#include <optional>
#include <string>

namespace halcyon {

struct MemoryLimit {
  uint64_t bytes = 0;
  std::string what;  // "of this machine", "of this control group"
};

// The machine's memory, or what its control groups (version 1 or 2) leave to this process where
// that is less. nullopt where the system reports neither. `root` is put before the system's paths.
std::optional<MemoryLimit> FindMemoryLimit(const std::string& root = "");

// How many processes of this machine, in any control group, the kernel has killed since the boot
// because memory ran out. nullopt where it does not say.
std::optional<uint64_t> OutOfMemoryKills(const std::string& root = "");

// The most memory that this process has had in RAM so far; 0 where the system does not say.
uint64_t PeakMemoryBytes();

}  // namespace halcyon

#endif  // HALCYON_BASE_MEMORY_H_
