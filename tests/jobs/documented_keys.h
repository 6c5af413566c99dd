// What docs/job_spec.md says of each key, for tests that hold it against the code.
#ifndef HALCYON_TESTS_JOBS_DOCUMENTED_KEYS_H_
#define HALCYON_TESTS_JOBS_DOCUMENTED_KEYS_H_

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/env.h"

namespace halcyon::jobs {

inline std::string ReadSourceFile(const std::string& path) {
  auto text = Env::Posix()->ReadFile(HALCYON_SOURCE_DIR "/" + path);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.value_or("");
}

struct DocumentedKey {
  std::string type, default_value, range, remakes;
};

// The rows "| `key` | type | default | ..." under each heading "## `[section]`" or "## Top level".
inline std::map<std::string, DocumentedKey> DocumentedKeys() {
  std::map<std::string, DocumentedKey> rows;
  std::istringstream lines(ReadSourceFile("docs/job_spec.md"));
  std::string prefix;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("## ", 0) == 0) {
      const size_t open = line.find('['), close = line.find(']');
      prefix = open == std::string::npos ? "" : line.substr(open + 1, close - open - 1) + ".";
    }
    if (line.rfind("| `", 0) != 0) continue;
    std::vector<std::string> cells;
    std::istringstream row(line.substr(1));
    for (std::string cell; std::getline(row, cell, '|');) {
      const size_t first = cell.find_first_not_of(" `"), last = cell.find_last_not_of(" `");
      cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
    }
    if (cells.size() < 6) {
      ADD_FAILURE() << line;
      continue;
    }
    EXPECT_TRUE(
        rows.emplace(prefix + cells[0], DocumentedKey{cells[1], cells[2], cells[3], cells[5]})
            .second)
        << line;
  }
  return rows;
}

}  // namespace halcyon::jobs

#endif  // HALCYON_TESTS_JOBS_DOCUMENTED_KEYS_H_
