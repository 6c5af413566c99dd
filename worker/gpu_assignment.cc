#include "worker/gpu_assignment.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace halcyon::worker {
namespace {

using nlohmann::json;

absl::Status NoGpuLeft(const std::vector<RankGpus>& ranks, size_t rank) {
  const RankGpus& own = ranks[rank];
  const bool nobody_has = std::ranges::all_of(ranks, [&](const RankGpus& other) {
    return other.ids.empty() && other.missing == own.missing;
  });
  if (nobody_has) return Unavailable(own.missing);
  if (own.ids.empty()) {
    return Unavailable(
        fmt::format("rank {} on host {} has no GPU: {}", rank, own.host, own.missing));
  }
  std::set<std::string> seen;
  int64_t there = 0;
  for (const RankGpus& other : ranks) {
    if (other.host != own.host) continue;
    ++there;
    seen.insert(other.ids.begin(), other.ids.end());
  }
  return Unavailable(fmt::format("host {} has {} ranks and {} GPU{}; each rank takes one", own.host,
                                 there, seen.size(), seen.size() == 1 ? "" : "s"));
}

}  // namespace

std::string RankGpus::Serialise() const {
  // Ids are bytes, which JSON as CBOR carries.
  std::vector<json::binary_t> binary;
  for (const std::string& id : ids) {
    binary.emplace_back(std::vector<uint8_t>(id.begin(), id.end()));
  }
  const std::vector<uint8_t> bytes =
      json::to_cbor({{"host", host}, {"ids", binary}, {"missing", missing}});
  return {bytes.begin(), bytes.end()};
}

absl::StatusOr<RankGpus> RankGpus::Parse(const std::string& bytes) {
  try {
    const json parsed = json::from_cbor(bytes);
    RankGpus gpus{parsed.at("host"), {}, parsed.at("missing")};
    for (const json& id : parsed.at("ids")) {
      const json::binary_t& binary = id.get_binary();
      gpus.ids.emplace_back(binary.begin(), binary.end());
    }
    return gpus;
  } catch (const json::exception& error) {
    return Internal(std::string("a rank's list of GPUs: ") + error.what());
  }
}

absl::StatusOr<std::vector<int>> AssignGpus(const std::vector<RankGpus>& ranks) {
  std::set<std::pair<std::string, std::string>> taken;  // host, id
  std::vector<int> assigned;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankGpus& own = ranks[rank];
    const auto free = std::ranges::find_if(
        own.ids, [&](const std::string& id) { return taken.emplace(own.host, id).second; });
    if (free == own.ids.end()) return NoGpuLeft(ranks, rank);
    assigned.push_back(static_cast<int>(free - own.ids.begin()));
  }
  return assigned;
}

}  // namespace halcyon::worker
