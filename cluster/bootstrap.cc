#include "cluster/bootstrap.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace halcyon::cluster {
namespace {

void AppendText(std::string_view text, std::string* to) {
  const uint64_t size = text.size();
  to->append(reinterpret_cast<const char*>(&size), sizeof(size));
  to->append(text);
}

// False when there is no whole text.
bool TakeText(std::string_view* from, std::string* text) {
  uint64_t size = 0;
  if (from->size() < sizeof(size)) return false;
  std::memcpy(&size, from->data(), sizeof(size));
  from->remove_prefix(sizeof(size));
  if (from->size() < size) return false;
  *text = from->substr(0, size);
  from->remove_prefix(size);
  return true;
}

}  // namespace

absl::Status CollectivesBootstrap::Put(std::string_view name, std::string_view value) {
  AppendText(name, &put_);
  AppendText(value, &put_);
  return absl::OkStatus();
}

absl::StatusOr<std::string> CollectivesBootstrap::Get(std::string_view name) {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    return NotFound("no rank has put \"" + std::string(name) + "\" before the last barrier");
  }
  return found->second;
}

absl::Status CollectivesBootstrap::Barrier() {
  ASSIGN_OR_RETURN(const std::vector<std::string> all, collectives_->AllGatherBytes(put_));
  put_.clear();
  for (const std::string& of_rank : all) {
    std::string_view rest = of_rank;
    std::string name, value;
    while (!rest.empty()) {
      if (!TakeText(&rest, &name) || !TakeText(&rest, &value)) {
        return Internal("a rank has sent values that cannot be read");
      }
      if (!values_.emplace(name, value).second) {
        return AlreadyExists("\"" + name + "\" was put twice");
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace halcyon::cluster
