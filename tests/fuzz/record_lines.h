// Logs of JSON records (storage/record_log.h) from arbitrary text, for the checks of their parsers.
#ifndef HALCYON_TESTS_FUZZ_RECORD_LINES_H_
#define HALCYON_TESTS_FUZZ_RECORD_LINES_H_

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "storage/record_log.h"

namespace halcyon::storage {

// A log of the JSON records in the lines of `text`, with checksums that fit, which arbitrary bytes
// never have.
inline std::string WithChecksums(std::string_view text) {
  std::string log;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const auto record = nlohmann::json::parse(text.substr(0, end), nullptr, false);
    if (!record.is_discarded()) log += RecordLine(record);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return log;
}

}  // namespace halcyon::storage

#endif  // HALCYON_TESTS_FUZZ_RECORD_LINES_H_
