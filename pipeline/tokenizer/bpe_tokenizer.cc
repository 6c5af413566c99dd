#include "pipeline/tokenizer/bpe_tokenizer.h"

#include <utility>

#include "base/check.h"
#include "pipeline/tokenizer/batch_merger.h"
#include "pipeline/tokenizer/byte_alphabet.h"
#include "pipeline/tokenizer/json/byte_bpe_json.h"
#include "pipeline/tokenizer/stored_json.h"

namespace halcyon::pipeline {

absl::StatusOr<std::shared_ptr<const BpeTokenizer>> BpeTokenizer::Create(BpeVocabulary vocabulary) {
  std::shared_ptr<BpeTokenizer> tokenizer(new BpeTokenizer);
  tokenizer->vocabulary_ = std::move(vocabulary);
  ASSIGN_OR_RETURN(tokenizer->pattern_,
                   CompilePattern(tokenizer->vocabulary_.regex, tokenizer->vocabulary_.dialect));
  RETURN_IF_ERROR(tokenizer->IndexTokens());
  RETURN_IF_ERROR(tokenizer->IndexMerges());
  if (tokenizer->vocabulary_.ignore_merges) tokenizer->IndexWholes();
  return tokenizer;
}

absl::Status BpeTokenizer::IndexTokens() {
  const std::vector<std::string>& tokens = vocabulary_.tokens;
  HALCYON_CHECK(tokens.size() == vocabulary_.special.size());
  HALCYON_CHECK(end_of_text() < tokens.size() && padding() < tokens.size());
  absl::flat_hash_map<std::string_view, uint32_t> id_of_bytes;  // no special tokens
  id_of_bytes.reserve(tokens.size());
  for (uint32_t id = 0; id < tokens.size(); ++id) {
    if (vocabulary_.special[id] || tokens[id].empty()) continue;
    const auto [other, is_new] = id_of_bytes.try_emplace(tokens[id], id);
    if (!is_new) {
      return InvalidArgument("tokens " + std::to_string(other->second) + " and " +
                             std::to_string(id) + " are both \"" + SpellBytes(tokens[id]) + "\"");
    }
  }
  for (int byte = 0; byte < 256; ++byte) {
    const auto found = id_of_bytes.find(std::string(1, static_cast<char>(byte)));
    if (found == id_of_bytes.end()) {
      return InvalidArgument("no token is the byte " + std::to_string(byte) +
                             ": a byte-level vocabulary has all 256");
    }
    id_of_byte_[byte] = found->second;
  }
  return absl::OkStatus();
}

absl::Status BpeTokenizer::IndexMerges() {
  const std::vector<std::string>& tokens = vocabulary_.tokens;
  const auto is_ordinary = [&](uint32_t id) { return Has(id) && !vocabulary_.special[id]; };
  std::vector<RankedMerge> ranked;
  ranked.reserve(vocabulary_.merges.size());
  for (uint32_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
    const auto [left, right, result] = vocabulary_.merges[rank];
    if (!is_ordinary(left) || !is_ordinary(right) || !is_ordinary(result) ||
        tokens[left] + tokens[right] != tokens[result]) {
      return InvalidArgument("merge " + std::to_string(rank) +
                             " joins no two ordinary tokens to one");
    }
    ranked.push_back({left, right, result, vocabulary_.merges_rank_by_result ? result : rank});
  }
  ASSIGN_OR_RETURN(merges_, ByteMerges::Create(tokens, id_of_byte_, std::move(ranked)));
  return absl::OkStatus();
}

void BpeTokenizer::IndexWholes() {
  std::vector<std::string_view> pieces;
  std::vector<uint32_t> ids;
  for (uint32_t id = 0; id < vocab_size(); ++id) {
    if (vocabulary_.special[id] || vocabulary_.tokens[id].empty()) continue;
    pieces.push_back(vocabulary_.tokens[id]);
    ids.push_back(id);
  }
  BatchMerger merger(&*merges_);
  merger.Merge(pieces, [&](size_t i, std::span<const uint32_t> merged) {
    if (merged.size() > 1 || merges_->IdOf(merged.front()) != ids[i])
      wholes_.emplace(pieces[i], ids[i]);
  });
}

std::string_view BpeTokenizer::Bytes(uint32_t id) const {
  HALCYON_CHECK(id < vocab_size());
  return vocabulary_.tokens[id];
}

absl::StatusOr<std::string> BpeTokenizer::Decode(std::span<const uint32_t> ids,
                                                 bool keep_special) const {
  std::string text;
  for (size_t i = 0; i < ids.size(); ++i) {
    RETURN_IF_ERROR(CheckId(ids[i], i));
    if (!vocabulary_.special[ids[i]] || keep_special) text += vocabulary_.tokens[ids[i]];
  }
  return text;
}

std::string BpeTokenizer::ToJson() const {
  return vocabulary_.merges_rank_by_result ? StoreTiktoken(vocabulary_)
                                           : WriteTokenizerJson(vocabulary_);
}

const uint32_t* BpeTokenizer::FindWhole(std::string_view piece) const {
  if (!vocabulary_.ignore_merges) return nullptr;
  const auto found = wholes_.find(piece);
  return found == wholes_.end() ? nullptr : &found->second;
}

}  // namespace halcyon::pipeline
