#include "coordinator/display/explain.h"

#include <algorithm>
#include <limits>

namespace halcyon::coordinator {
namespace {

constexpr size_t kFieldsShownMax = 6;
constexpr size_t kDigestDigits = 64;
constexpr size_t kDigitsShown = 8;

std::string Shown(const std::string& value) {
  if (value.empty()) return "(none)";
  if (value.starts_with(kToBeMade)) {
    return kToBeMade + Shown(value.substr(std::string_view(kToBeMade).size()));
  }
  const bool is_digest = value.size() == kDigestDigits &&
                         value.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_digest ? value.substr(0, kDigitsShown) : value;
}

// One text for each of the first few, with commas between; the rest is counted.
template <typename Text>
std::string Listed(const std::vector<jobs::FieldDifference>& differences, const Text& text_of) {
  std::string text;
  const size_t shown = std::min(differences.size(), kFieldsShownMax);
  for (size_t i = 0; i < shown; ++i) {
    if (i > 0) text += ", ";
    text += text_of(differences[i]);
  }
  if (shown < differences.size()) {
    text += " and " + std::to_string(differences.size() - shown) + " more";
  }
  return text;
}

}  // namespace

const storage::ArtifactRecord* NearestArtifact(
    const jobs::StageIdentity& identity, const std::vector<storage::ArtifactRecord>& earlier) {
  const storage::ArtifactRecord* nearest = nullptr;
  size_t fewest = std::numeric_limits<size_t>::max();
  for (const storage::ArtifactRecord& artifact : earlier) {
    if (artifact.kind != identity.kind) continue;
    const size_t differing = jobs::Differences(artifact.fields, identity.fields).size();
    if (differing < fewest) {
      fewest = differing;
      nearest = &artifact;
    }
  }
  return nearest;
}

std::string Describe(const std::vector<jobs::FieldDifference>& differences) {
  return Listed(differences, [](const jobs::FieldDifference& field) {
    return field.name + ": " + Shown(field.before) + " -> " + Shown(field.after);
  });
}

std::string DescribeBefore(const std::vector<jobs::FieldDifference>& differences) {
  return Listed(differences, [](const jobs::FieldDifference& field) {
    return field.name + " = " + Shown(field.before);
  });
}

std::string DescribeNames(const std::vector<jobs::FieldDifference>& differences) {
  return Listed(differences, [](const jobs::FieldDifference& field) { return field.name; });
}

std::string WhyMade(const jobs::StageIdentity& identity,
                    const std::vector<storage::ArtifactRecord>& earlier) {
  const storage::ArtifactRecord* nearest = NearestArtifact(identity, earlier);
  if (nearest == nullptr) return "none made before";
  return "changed: " + Describe(jobs::Differences(nearest->fields, identity.fields));
}

}  // namespace halcyon::coordinator
