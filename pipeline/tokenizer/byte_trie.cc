#include "pipeline/tokenizer/byte_trie.h"

#include <algorithm>

namespace halcyon::pipeline {

ByteTrie::ByteTrie(Strings strings) {
  root_.fill(kNone);
  if (strings.empty()) return;
  std::sort(strings.begin(), strings.end());
  // A level after another: a range of strings that begin alike is a node.
  struct Range {
    size_t first, last;
    uint32_t node;
  };
  nodes_.emplace_back();  // of the empty string
  std::vector<Range> level = {{0, strings.size(), 0}};
  for (size_t depth = 0; !level.empty(); ++depth) {
    std::vector<Range> below;
    for (const Range& range : level) {
      size_t first = range.first;
      if (strings[first].first.size() == depth) {
        nodes_[range.node].is_end = true;
        nodes_[range.node].value = strings[first++].second;
      }
      nodes_[range.node].first_child = static_cast<uint32_t>(nodes_.size());
      while (first < range.last) {
        const char label = strings[first].first[depth];
        size_t last = first;
        while (last < range.last && strings[last].first[depth] == label) ++last;
        below.push_back({first, last, static_cast<uint32_t>(nodes_.size())});
        nodes_.push_back({.label = static_cast<uint8_t>(label)});
        ++nodes_[range.node].children;
        first = last;
      }
    }
    level = std::move(below);
  }
  for (uint32_t child = 0; child < nodes_[0].children; ++child) {
    const uint32_t node = nodes_[0].first_child + child;
    root_[nodes_[node].label] = node;
  }
}

}  // namespace halcyon::pipeline
