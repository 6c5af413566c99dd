// The stages of a job as a graph of nodes. A job of one spec has one node a stage. A job of several
// specs (variants of one spec) has a node for each different stage: what two variants would make
// from the same settings and inputs is one node of both.
//
// A node's key is a fingerprint that is known before anything is made: that of its stage with the
// keys of the input nodes in place of their contents' digests, and the paths of the text in place
// of its bytes' digests. The fingerprint of the artifact follows when the inputs are made; two
// nodes may then turn out to be the same artifact.
//
// Invariants: each node comes after its inputs; keys differ; labels differ. Pure.
#ifndef HALCYON_JOBS_STAGE_GRAPH_H_
#define HALCYON_JOBS_STAGE_GRAPH_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "jobs/stages.h"

namespace halcyon::jobs {

// A node's place in its graph.
using NodeId = StrongId<struct NodeIdTag, size_t>;

struct StageNode {
  StageKind kind{};
  std::string key;
  std::string label;           // "model"; "model-3f2a91c0" when the graph has several of the kind
  size_t variant = 0;          // whose settings it is made with: the first that needs it
  std::vector<NodeId> inputs;  // in the order of InputsOf
};

class StageGraph {
 public:
  // REQUIRES: at least one variant.
  explicit StageGraph(std::span<const JobSpec> variants);

  size_t size() const { return nodes_.size(); }
  const StageNode& node(NodeId id) const { return nodes_.at(id.value()); }
  const std::vector<StageNode>& nodes() const { return nodes_; }
  // The nodes that it is made from, directly or not, in their order.
  std::vector<NodeId> AncestorsOf(NodeId id) const;

 private:
  void Add(const JobSpec& spec, size_t variant);

  std::vector<StageNode> nodes_;
};

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_STAGE_GRAPH_H_
