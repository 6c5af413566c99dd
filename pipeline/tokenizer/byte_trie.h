// Finds which of many strings a text begins with. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_BYTE_TRIE_H_
#define HALCYON_PIPELINE_TOKENIZER_BYTE_TRIE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace halcyon::pipeline {

// Immutable after its construction; thread-safe.
class ByteTrie {
 public:
  struct Match {
    size_t bytes = 0;
    uint32_t value = 0;
  };

  // REQUIRES: strings that are not empty and differ.
  explicit ByteTrie(std::vector<std::pair<std::string, uint32_t>> strings = {});

  bool empty() const { return nodes_.empty(); }

  // Calls visit(Match) for each of the strings that `text` begins with, the shortest first.
  template <typename Visit>
  void ForEachPrefix(std::string_view text, Visit visit) const {
    if (text.empty() || nodes_.empty()) return;
    uint32_t node = root_[static_cast<uint8_t>(text[0])];
    for (size_t bytes = 1; node != kNone; ++bytes) {
      if (nodes_[node].is_end) visit(Match{bytes, nodes_[node].value});
      node = bytes < text.size() ? Child(node, static_cast<uint8_t>(text[bytes])) : kNone;
    }
  }
  std::optional<Match> LongestPrefix(std::string_view text) const {
    std::optional<Match> longest;
    ForEachPrefix(text, [&](Match match) { longest = match; });
    return longest;
  }

 private:
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  // The children of a node lie side by side, in the order of their labels.
  struct Node {
    uint32_t first_child = 0;
    uint32_t value = 0;
    uint16_t children = 0;
    uint8_t label = 0;
    bool is_end = false;
  };
  using Strings = std::vector<std::pair<std::string, uint32_t>>;

  uint32_t Child(uint32_t node, uint8_t label) const {
    const uint32_t first = nodes_[node].first_child;
    uint32_t low = first, high = first + nodes_[node].children;
    while (low < high) {
      const uint32_t middle = (low + high) / 2;
      if (nodes_[middle].label < label) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low < first + nodes_[node].children && nodes_[low].label == label ? low : kNone;
  }

  std::vector<Node> nodes_;
  std::array<uint32_t, 256> root_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_BYTE_TRIE_H_
