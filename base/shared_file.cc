#include "base/shared_file.h"

#include <unistd.h>

#include <atomic>

#include "base/process_identity.h"

namespace halcyon {

absl::Status WriteSharedFile(Env& env, const std::string& path, std::string_view bytes,
                             Durability durability) {
  static std::atomic<int> calls = 0;
  const std::string own =
      HostName() + "-" + std::to_string(getpid()) + "-" + std::to_string(++calls);
  return ReplaceFile(env, path + "." + own + ".tmp", path, bytes, durability);
}

}  // namespace halcyon
