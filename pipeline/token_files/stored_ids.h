// Ids as a file stores them, turned into numbers and compared with a vocabulary.
#ifndef HALCYON_PIPELINE_TOKEN_FILES_STORED_IDS_H_
#define HALCYON_PIPELINE_TOKEN_FILES_STORED_IDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "pipeline/token_files/id_type.h"
#include "pipeline/token_files/token_layout.h"

namespace halcyon::pipeline {

struct UnknownId {
  uint64_t place = 0;  // among those that were decoded
  std::string id;      // as it is stored: "-1"
};

// Sets `ids` to all of the bytes' ids, or returns the first that is negative or not `is_known`
// (bool(uint64_t id), true for numbers of 32 bits only).
template <typename IsKnown>
std::optional<UnknownId> DecodeIds(IdType type, std::string_view bytes, IsKnown is_known,
                                   std::vector<uint32_t>* ids) {
  return WithIdType(type, [&]<typename Integer>(Integer) -> std::optional<UnknownId> {
    const uint64_t count = bytes.size() / sizeof(Integer);
    ids->resize(count);
    for (uint64_t i = 0; i < count; ++i) {
      const auto id = IntegerAt<Integer>(bytes, i);
      // A negative one becomes a number that no vocabulary has.
      if (!is_known(static_cast<uint64_t>(id))) return UnknownId{i, std::to_string(id)};
      (*ids)[i] = static_cast<uint32_t>(id);
    }
    return std::nullopt;
  });
}

// "token 3 (byte 140) is id 1000, which no token of the vocabulary has (0 to 999)". `first_byte`:
// of the decoded ids, in a file of that layout.
std::string TextOf(const UnknownId& unknown, const TokenLayout& layout, uint64_t first_byte,
                   uint64_t vocab_size);

// The ids of a NumPy array of one dimension, of little-endian integers of 2, 4 or 8 bytes. Holds
// the file and 4 bytes for each id. kNotFound; kInvalidArgument: it is no such array, it is
// damaged, or an id is negative or not below `vocab_size` (2^32 at most), with its place.
absl::StatusOr<std::vector<uint32_t>> ReadIds(Env& env, const std::string& path,
                                              uint64_t vocab_size);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKEN_FILES_STORED_IDS_H_
