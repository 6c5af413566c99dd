#include "jobs/spec_overrides.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "jobs/spec_keys.h"
#include "jobs/spec_reader.h"

namespace halcyon::jobs {
namespace {

bool IsKey(const std::string& path) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  };
  return !path.empty() && path.front() != '.' && path.back() != '.' &&
         path.find("..") == std::string::npos && std::all_of(path.begin(), path.end(), allowed);
}

}  // namespace

absl::StatusOr<std::vector<SpecOverride>> ParseOverrides(const std::vector<std::string>& words) {
  std::vector<SpecOverride> overrides;
  std::set<std::string> seen;
  std::string errors;
  const auto refuse = [&](const std::string& what, const std::string& message) {
    errors += (errors.empty() ? "" : "\n") + fmt::format("--set {}: {}", what, message);
  };
  for (const std::string& word : words) {
    if (HoldsControlCharacter(word)) {
      refuse(Quoted(word), "holds a control character; remove it");
      continue;
    }
    const size_t sign = word.find('=');
    const std::string path = word.substr(0, sign);
    if (sign == std::string::npos || !IsKey(path)) {
      refuse(word, "is not KEY=VALUE; write for example --set train.steps=2000");
    } else if (path == "name") {
      refuse(path, "names the job, so it stands in the file; change it there");
    } else if (!seen.insert(path).second) {
      refuse(path, "is given twice; remove one of the two");
    } else {
      overrides.push_back({path, word.substr(sign + 1)});
    }
  }
  if (!errors.empty()) return InvalidArgument(errors);
  return overrides;
}

}  // namespace halcyon::jobs
