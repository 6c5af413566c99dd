#include "base/memory.h"

#include <charconv>
#include <fstream>
#include <sstream>

#include "base/env.h"

namespace halcyon {
namespace {

// These files have no size of their own, so they are read as streams.
std::string ReadStream(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return file ? text.str() : "";
}

// "max", and text that is not a number, mean no limit.
std::optional<uint64_t> NumberAt(const std::string& text, size_t at) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + at, end, value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

// The number after `name` in a file of /proc, a name and its number a line.
std::optional<uint64_t> NumberOf(const std::string& name, const std::string& path) {
  const std::string text = "\n" + ReadStream(path);
  const size_t line = text.find("\n" + name);
  if (line == std::string::npos) return std::nullopt;
  const size_t digits = text.find_first_not_of(" \t", line + 1 + name.size());
  return digits == std::string::npos ? std::nullopt : NumberAt(text, digits);
}

std::optional<uint64_t> MachineBytes(const std::string& root) {
  const auto kib = NumberOf("MemTotal:", root + "/proc/meminfo");
  return kib ? std::optional(*kib << 10) : std::nullopt;
}

// The least of the limits in the folders from `path` up to the file system's root.
void TakeLeast(const std::string& mount, std::string path, const std::string& file,
               std::optional<uint64_t>* least) {
  while (true) {
    const std::string text = ReadStream(JoinPath(mount + path, file));
    const auto limit = text.empty() ? std::nullopt : NumberAt(text, 0);
    if (limit && (!*least || *limit < **least)) *least = limit;
    if (path.empty() || path == "/") return;
    path = DirName(path);
  }
}

std::optional<uint64_t> ControlGroupBytes(const std::string& root) {
  std::optional<uint64_t> least;
  std::istringstream lines(ReadStream(root + "/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    // ID:CONTROLLERS:PATH; version 2 has the id 0 and no controllers.
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") {
      TakeLeast(root + "/sys/fs/cgroup", path, "memory.max", &least);
    } else if (controllers.find(",memory,") != std::string::npos) {
      TakeLeast(root + "/sys/fs/cgroup/memory", path, "memory.limit_in_bytes", &least);
    }
  }
  return least;
}

}  // namespace

std::optional<MemoryLimit> FindMemoryLimit(const std::string& root) {
  const auto machine = MachineBytes(root);
  const auto group = ControlGroupBytes(root);
  if (group && (!machine || *group < *machine)) return MemoryLimit{*group, "of this control group"};
  if (machine) return MemoryLimit{*machine, "of this machine"};
  return std::nullopt;
}

std::optional<uint64_t> OutOfMemoryKills(const std::string& root) {
  return NumberOf("oom_kill ", root + "/proc/vmstat");
}

uint64_t PeakMemoryBytes() { return NumberOf("VmHWM:", "/proc/self/status").value_or(0) << 10; }

}  // namespace halcyon
