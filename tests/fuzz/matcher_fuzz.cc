#include <cstdio>

#include "tests/fuzz/matcher_comparison.h"

// A matcher written by hand cuts a text where its expression does.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto* const pool = new halcyon::testing::CharacterPool;
  static const auto* const comparison = new halcyon::testing::MatcherComparison;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const std::string& text :
       {pool->TextOf(bytes), halcyon::pipeline::ReplaceInvalidUtf8(bytes)}) {
    const std::string difference = comparison->Difference(text);
    if (!difference.empty()) std::fprintf(stderr, "%s\n", difference.c_str());
    HALCYON_CHECK(difference.empty());
  }
  return 0;
}
