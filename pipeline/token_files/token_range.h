// What the planner of a file of ids and its reader have in common.
#ifndef HALCYON_PIPELINE_TOKEN_FILES_TOKEN_RANGE_H_
#define HALCYON_PIPELINE_TOKEN_FILES_TOKEN_RANGE_H_

#include <cstdint>
#include <string_view>

#include "base/digest.h"
#include "pipeline/token_files/token_layout.h"

namespace halcyon::pipeline {

// Of a range: how its ids are stored, its bytes, and of ids with an index the bytes of each
// document. So nothing that the documents depend on can change unnoticed.
class TokenRangeHash {
 public:
  explicit TokenRangeHash(const TokenLayout& layout) {
    hasher_.Update(layout.type.Name());
    AddNumber(layout.begin);
  }
  // Before the first call of AddDocument.
  void AddBytes(std::string_view bytes) { hasher_.Update(bytes); }
  void AddDocument(uint64_t bytes) { AddNumber(bytes); }
  uint64_t Digest() const { return hasher_.Digest(); }

 private:
  void AddNumber(uint64_t number) {
    hasher_.Update({reinterpret_cast<const char*>(&number), sizeof(number)});
  }
  Xxh3Hasher hasher_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKEN_FILES_TOKEN_RANGE_H_
