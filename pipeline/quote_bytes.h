// Bytes of a source as they may stand in a message.
#ifndef HALCYON_PIPELINE_QUOTE_BYTES_H_
#define HALCYON_PIPELINE_QUOTE_BYTES_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace halcyon::pipeline {

// In quotes: printable ASCII as it is, every other byte as \xNN; "..." after the quotes when there
// are more than `bytes_max`.
std::string QuoteBytes(std::string_view bytes, size_t bytes_max = 40);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_QUOTE_BYTES_H_
