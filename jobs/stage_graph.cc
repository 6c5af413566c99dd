#include "jobs/stage_graph.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "jobs/stage_identity.h"

namespace halcyon::jobs {
namespace {

constexpr size_t kLabelDigits = 8;

}  // namespace

StageGraph::StageGraph(std::span<const JobSpec> variants) {
  HALCYON_CHECK(!variants.empty());
  for (size_t variant = 0; variant < variants.size(); ++variant) Add(variants[variant], variant);
  std::map<StageKind, int> counts;
  for (const StageNode& node : nodes_) ++counts[node.kind];
  for (StageNode& node : nodes_) {
    node.label = StageName(node.kind);
    if (counts[node.kind] > 1) node.label += "-" + node.key.substr(0, kLabelDigits);
  }
}

void StageGraph::Add(const JobSpec& spec, size_t variant) {
  std::map<StageKind, NodeId> added;
  for (const StageKind kind : StagesOf(spec)) {
    StageNode node;
    node.kind = kind;
    node.variant = variant;
    std::map<StageKind, std::string> input_keys;
    for (const StageKind input : InputsOf(kind, spec)) {
      node.inputs.push_back(added.at(input));
      input_keys[input] = nodes_[added.at(input).value()].key;
    }
    node.key =
        IdentityOf(kind, spec, spec.data.Files(), input_keys, spec.tokenizer.path).Fingerprint();
    const auto same = std::find_if(nodes_.begin(), nodes_.end(),
                                   [&](const StageNode& known) { return known.key == node.key; });
    added[kind] = NodeId(static_cast<size_t>(same - nodes_.begin()));
    if (same == nodes_.end()) nodes_.push_back(std::move(node));
  }
}

std::vector<NodeId> StageGraph::AncestorsOf(NodeId id) const {
  std::vector<bool> reached(nodes_.size(), false);
  reached[id.value()] = true;
  std::vector<NodeId> ancestors;
  // Inputs come first, so that one pass from the end reaches all.
  for (size_t i = id.value() + 1; i-- > 0;) {
    if (!reached[i]) continue;
    if (i != id.value()) ancestors.push_back(NodeId(i));
    for (const NodeId input : nodes_[i].inputs) reached[input.value()] = true;
  }
  std::reverse(ancestors.begin(), ancestors.end());
  return ancestors;
}

}  // namespace halcyon::jobs
