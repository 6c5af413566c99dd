#include "jobs/spec_errors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "jobs/spec_reader.h"

namespace halcyon::jobs {
namespace {

// "in [train]", "at the top of the file, ...".
std::string Where(std::string_view section) {
  return section.empty() ? "at the top of the file, before the first table"
                         : fmt::format("in [{}]", section);
}

// How far `candidate` is from the name that was written; nullopt when it is too far to be
// suggested. A name that contains the other ("num_layers", "warmup") counts as near, after all
// misspellings.
std::optional<size_t> SuggestionDistance(std::string_view written, std::string_view candidate) {
  constexpr size_t kContainedLengthMin = 4;
  constexpr size_t kAfterMisspellings = 100;
  const size_t distance = EditDistance(written, candidate);
  const size_t shorter = std::min(written.size(), candidate.size());
  if (distance <= std::max<size_t>(1, shorter / 3)) return distance;
  const bool contained = written.find(candidate) != std::string_view::npos ||
                         candidate.find(written) != std::string_view::npos;
  if (contained && shorter >= kContainedLengthMin) return kAfterMisspellings + distance;
  return std::nullopt;
}

// The nearest key, of several the first.
const SpecKey* NearestKey(const std::vector<SpecKey>& keys, std::string_view name) {
  const SpecKey* nearest = nullptr;
  size_t least = 0;
  for (const SpecKey& key : keys) {
    const std::optional<size_t> remoteness = SuggestionDistance(name, key.name);
    if (remoteness && (nearest == nullptr || *remoteness < least)) {
      nearest = &key;
      least = *remoteness;
    }
  }
  return nearest;
}

}  // namespace

void SpecErrors::Add(int line, const std::string& path, std::string_view message) {
  paths_.insert(path);
  if (override_.empty()) {
    errors_.emplace_back(line, fmt::format("{}:{}: {}: {}", file_name_, line, path, message));
    return;
  }
  const bool says_it_already =
      path == override_ || path.starts_with(override_ + "[") || path == kSyntaxPath;
  errors_.emplace_back(
      0, fmt::format("--set {}: {}{}", override_, says_it_already ? "" : path + ": ", message));
}

absl::Status SpecErrors::ToStatus() const {
  if (errors_.empty()) return absl::OkStatus();
  auto by_line = errors_;
  std::stable_sort(by_line.begin(), by_line.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string text;
  for (const auto& [line, error] : by_line) {
    text += text.empty() ? "" : "\n";
    text += error;
  }
  return InvalidArgument(text);
}

std::string AdviceForKey(const std::vector<SpecKey>& keys, std::string_view section,
                         std::string_view name) {
  std::vector<std::string> homes;
  std::vector<SpecKey> neighbours;
  for (const SpecKey& key : keys) {
    if (key.name == name) homes.push_back(Where(key.section));
    if (key.section == section) neighbours.push_back(key);
  }
  if (!homes.empty()) {
    return fmt::format("it belongs {}; move it there", fmt::join(homes, " or "));
  }
  if (const SpecKey* nearest = NearestKey(neighbours, name)) {
    return fmt::format("did you mean \"{}\"?", nearest->name);
  }
  if (const SpecKey* nearest = NearestKey(keys, name)) {
    return fmt::format("did you mean \"{}\" {}?", nearest->name, Where(nearest->section));
  }
  std::vector<std::string> names;
  for (const SpecKey& key : neighbours) names.push_back(key.name);
  return fmt::format("remove it, or use one of {}", fmt::join(names, ", "));
}

std::string AdviceForSection(const std::vector<SpecKey>& keys, std::string_view section) {
  const std::vector<std::string> sections = SectionsOf(keys);
  const auto nearest = std::min_element(
      sections.begin(), sections.end(), [section](const std::string& a, const std::string& b) {
        return EditDistance(section, a) < EditDistance(section, b);
      });
  if (SuggestionDistance(section, *nearest)) return fmt::format("did you mean [{}]?", *nearest);
  return fmt::format("remove it, or use one of [{}]", fmt::join(sections, "], ["));
}

size_t EditDistance(std::string_view a, std::string_view b) {
  // distance[i][j] is that of the first i characters of a and the first j of b.
  std::vector<std::vector<size_t>> distance(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        distance[i][j] = i + j;
        continue;
      }
      const size_t replaced = distance[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      distance[i][j] = std::min({replaced, distance[i - 1][j] + 1, distance[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        distance[i][j] = std::min(distance[i][j], distance[i - 2][j - 2] + 1);
      }
    }
  }
  return distance[a.size()][b.size()];
}

}  // namespace halcyon::jobs
