#include "jobs/stage_graph.h"

#include <gtest/gtest.h>

#include <set>

namespace halcyon::jobs {
namespace {

JobSpec Spec() {
  JobSpec spec;
  spec.name = "t";
  spec.data.sources = {"/a.txt"};
  return spec;
}

std::vector<std::string> Labels(const StageGraph& graph) {
  std::vector<std::string> labels;
  for (const StageNode& node : graph.nodes()) labels.push_back(node.label);
  return labels;
}

std::vector<StageKind> KindsOf(const StageGraph& graph, const std::vector<NodeId>& ids) {
  std::vector<StageKind> kinds;
  for (const NodeId id : ids) kinds.push_back(graph.node(id).kind);
  return kinds;
}

TEST(StageGraphTest, AJobOfOneSpecHasANodeAStage) {
  const JobSpec spec = Spec();
  const StageGraph graph(std::span(&spec, 1));
  EXPECT_EQ(Labels(graph), (std::vector<std::string>{"tokenizer", "tokens", "autoencoder",
                                                     "latents", "model", "eval"}));
  for (size_t i = 0; i < graph.size(); ++i) {
    const StageNode& node = graph.node(NodeId(i));
    EXPECT_EQ(KindsOf(graph, node.inputs), InputsOf(node.kind, spec));
    // What a stage reads beyond its inputs (its settings' tokenizer, say) is made before it.
    EXPECT_EQ(graph.AncestorsOf(NodeId(i)).size(), i) << node.label;
  }
}

TEST(StageGraphTest, VariantsShareWhatTheyHaveInCommon) {
  std::vector<JobSpec> variants(3, Spec());
  variants[1].autoencoder.chunk_size = 2 * variants[0].autoencoder.chunk_size;
  variants[2].model.head = HeadKind::kSoftmax;
  const StageGraph graph(variants);
  std::multiset<StageKind> kinds;
  std::set<std::string> keys;
  for (size_t i = 0; i < graph.size(); ++i) {
    const StageNode& node = graph.node(NodeId(i));
    kinds.insert(node.kind);
    keys.insert(node.key);
    for (const NodeId input : node.inputs) EXPECT_LT(input.value(), i) << "inputs come first";
  }
  EXPECT_EQ(keys.size(), graph.size());
  EXPECT_EQ(kinds.count(StageKind::kTokenizer), 1u);
  EXPECT_EQ(kinds.count(StageKind::kTokens), 1u);
  EXPECT_EQ(kinds.count(StageKind::kAutoencoder), 2u) << "the softmax baseline has none";
  EXPECT_EQ(kinds.count(StageKind::kModel), 3u);
  const std::vector<std::string> labels = Labels(graph);
  EXPECT_EQ(std::set<std::string>(labels.begin(), labels.end()).size(), graph.size());
  EXPECT_EQ(labels[1], "tokens");
  EXPECT_EQ(labels[2], "autoencoder-" + graph.node(NodeId(2)).key.substr(0, 8));
  const NodeId baseline(graph.size() - 2);
  EXPECT_EQ(KindsOf(graph, graph.AncestorsOf(baseline)),
            (std::vector{StageKind::kTokenizer, StageKind::kTokens}));
}

TEST(StageGraphTest, AnotherTextIsAnotherNodeAndRanksAreNot) {
  std::vector<JobSpec> variants(2, Spec());
  variants[1].launch.ranks += 1;
  EXPECT_EQ(StageGraph(variants).size(), kAllStages.size());
  variants[1].data.sources = {"/b.txt"};
  EXPECT_EQ(StageGraph(variants).size(), 2 * kAllStages.size());
}

}  // namespace
}  // namespace halcyon::jobs
