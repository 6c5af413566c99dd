#include "jobs/hosts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>
#include <sstream>

#include "base/check.h"
#include "jobs/spec_keys.h"

namespace halcyon::jobs {
namespace {

constexpr int64_t kSlotsMax = 1024;
constexpr size_t kHostsMax = 1 << 14;
constexpr size_t kHostNameMax = 253;  // of the domain name system

bool IsHostName(std::string_view name) {
  return !name.empty() && name.size() <= kHostNameMax && name[0] != '-' && name[0] != '.' &&
         std::ranges::all_of(name, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
         });
}

// False when `text` is not a number from 0 on, and nothing else.
bool ToNumber(std::string_view text, int64_t* number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && *number >= 0;
}

absl::Status RefuseTwice(const std::vector<Host>& hosts) {
  std::set<std::string> seen;
  for (const Host& host : hosts) {
    if (!seen.insert(host.name).second) {
      return InvalidArgument(Quoted(host.name) + " is named twice; add its slots up");
    }
  }
  return absl::OkStatus();
}

// Splits at commas that are outside of brackets.
std::vector<std::string_view> SplitOutsideBrackets(std::string_view text) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  int depth = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == ',' && depth == 0)) {
      parts.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    } else if (text[i] == '[') {
      ++depth;
    } else if (text[i] == ']') {
      --depth;
    }
  }
  return parts;
}

// "1-3" or "07" with its leading zeros; false: cannot be read.
bool ExpandRange(std::string_view range, std::vector<std::string>* out) {
  const size_t dash = range.find('-');
  const std::string_view first = range.substr(0, dash);
  const std::string_view last = dash == std::string_view::npos ? first : range.substr(dash + 1);
  int64_t from = 0, to = 0;
  if (!ToNumber(first, &from) || !ToNumber(last, &to)) return false;
  if (to < from || static_cast<size_t>(to - from) >= kHostsMax) return false;
  for (int64_t number = from; number <= to; ++number) {
    out->push_back(fmt::format("{:0{}}", number, first.size()));
  }
  return true;
}

// "rack[1-2]n[1-3]"; every bracket multiplies.
bool ExpandNode(std::string_view text, std::vector<std::string>* out) {
  const size_t open = text.find('[');
  if (open == std::string_view::npos) {
    out->emplace_back(text);
    return !text.empty();
  }
  const size_t close = text.find(']', open);
  if (close == std::string_view::npos) return false;
  std::vector<std::string> numbers, rests;
  for (const std::string_view range : SplitOutsideBrackets(text.substr(open + 1, close - open - 1)))
    if (!ExpandRange(range, &numbers)) return false;
  if (close + 1 == text.size()) {
    rests.emplace_back();
  } else if (!ExpandNode(text.substr(close + 1), &rests)) {
    return false;
  }
  if (numbers.size() * rests.size() > kHostsMax) return false;
  for (const std::string& number : numbers) {
    for (const std::string& rest : rests) {
      out->push_back(std::string(text.substr(0, open)) + number + rest);
    }
  }
  return true;
}

// Adds `ranks` to the shares, evenly; the first ones take one more.
void ShareOut(int64_t ranks, const std::vector<HostRanks*>& among) {
  const auto count = static_cast<int64_t>(among.size());
  for (int64_t i = 0; i < count; ++i) among[i]->ranks += ranks / count + (i < ranks % count);
}

}  // namespace

absl::StatusOr<Host> ParseHost(std::string_view text) {
  const size_t colon = text.find(':');
  Host host{std::string(text.substr(0, colon))};
  if (!IsHostName(host.name)) {
    return InvalidArgument(Quoted(text) +
                           " does not name a host; write a name, or a name and its slots: "
                           "\"n1\", \"n1:4\"");
  }
  if (colon == std::string_view::npos) return host;
  if (!ToNumber(text.substr(colon + 1), &host.slots) || host.slots < 1 || host.slots > kSlotsMax) {
    return InvalidArgument(
        fmt::format("{} does not say how many slots {} has; write \"{}:4\", "
                    "from 1 to {}",
                    Quoted(text), host.name, host.name, kSlotsMax));
  }
  return host;
}

absl::StatusOr<std::vector<Host>> ParseHosts(const std::vector<std::string>& texts) {
  std::vector<Host> hosts;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(hosts.emplace_back(), ParseHost(text));
  }
  RETURN_IF_ERROR(RefuseTwice(hosts));
  return hosts;
}

absl::StatusOr<std::vector<Host>> ParseHostfile(std::string_view text, const std::string& path) {
  constexpr std::string_view kSlots = "slots=";
  std::vector<Host> hosts;
  std::istringstream lines{std::string(text)};
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line.substr(0, line.find('#')));
    std::string name, slots, more;
    if (!(words >> name)) continue;
    words >> slots >> more;
    const std::string where = fmt::format("{}:{}: ", path, number);
    if (!more.empty() || (!slots.empty() && !slots.starts_with(kSlots))) {
      return InvalidArgument(where + Quoted(line) + " cannot be read; write \"NAME slots=N\"");
    }
    const std::string count = slots.empty() ? "" : ":" + slots.substr(kSlots.size());
    const auto host = ParseHost(name + count);
    if (!host.ok()) return InvalidArgument(where + MessageOf(host.status()));
    hosts.push_back(*host);
  }
  if (hosts.empty()) return InvalidArgument(path + ": names no host");
  RETURN_IF_ERROR(RefuseTwice(hosts), path);
  return hosts;
}

absl::StatusOr<std::vector<std::string>> ExpandNodeList(std::string_view text) {
  std::vector<std::string> nodes;
  for (const std::string_view part : SplitOutsideBrackets(text)) {
    const bool read = ExpandNode(part, &nodes) && nodes.size() <= kHostsMax;
    if (!read || !std::ranges::all_of(nodes, IsHostName)) {
      return InvalidArgument(Quoted(text) + " is no list of nodes of Slurm");
    }
  }
  return nodes;
}

absl::StatusOr<std::vector<int64_t>> ExpandCounts(std::string_view text) {
  std::vector<int64_t> counts;
  for (const std::string_view part : SplitOutsideBrackets(text)) {
    const size_t open = part.find("(x");
    int64_t count = 0, times = 1;
    bool read = ToNumber(part.substr(0, open), &count);
    if (open != std::string_view::npos) {
      read = read && part.ends_with(')') &&
             ToNumber(part.substr(open + 2, part.size() - open - 3), &times);
    }
    if (!read || counts.size() + static_cast<size_t>(times) > kHostsMax) {
      return InvalidArgument(Quoted(text) + " is no list of counts of Slurm");
    }
    counts.insert(counts.end(), static_cast<size_t>(times), count);
  }
  return counts;
}

std::vector<HostRanks> PlaceRanks(const std::vector<Host>& hosts, int64_t ranks) {
  HALCYON_CHECK(!hosts.empty());
  std::vector<HostRanks> placed;
  for (const Host& host : hosts) {
    placed.push_back({host.name, std::min(host.slots, ranks)});
    ranks -= placed.back().ranks;
  }
  std::vector<HostRanks*> open, all;
  for (size_t i = 0; i < hosts.size(); ++i) {
    all.push_back(&placed[i]);
    if (hosts[i].slots == 0) open.push_back(&placed[i]);
  }
  ShareOut(ranks, open.empty() ? all : open);
  std::erase_if(placed, [](const HostRanks& host) { return host.ranks == 0; });
  return placed;
}

}  // namespace halcyon::jobs
