// What turns the pieces of a text into tokens. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_MODELS_MODEL_H_
#define HALCYON_PIPELINE_TOKENIZER_MODELS_MODEL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/status.h"

namespace halcyon::pipeline {

// Not thread-safe: it keeps its working memory.
class PieceEncoder {
 public:
  virtual ~PieceEncoder() = default;
  // Appends the ids of a piece that is not empty.
  virtual void Encode(std::string_view piece, std::vector<uint32_t>* ids) = 0;
};

// Immutable; thread-safe.
class Model {
 public:
  virtual ~Model() = default;
  // REQUIRES: the model outlives it.
  virtual std::unique_ptr<PieceEncoder> NewEncoder() const = 0;
};

// The tokens that text may become: no special ones.
using TokenIds = absl::flat_hash_map<std::string, uint32_t>;

inline std::optional<uint32_t> FindToken(const TokenIds& ids, std::string_view token) {
  const auto found = ids.find(ToAbsl(token));
  return found == ids.end() ? std::nullopt : std::optional(found->second);
}

// "<0x0A>": the token of a byte where bytes stand for what the vocabulary lacks.
std::string ByteToken(uint8_t byte);
std::optional<uint8_t> ReadByteToken(std::string_view token);  // nullopt: not of that form

// The ids of all bytes of `text`, when each has one. False: nothing was appended.
bool AppendByteTokens(const TokenIds& tokens, std::string_view text, std::vector<uint32_t>* ids);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_MODELS_MODEL_H_
