// A folder of a test's own, removed at its end.
#ifndef HALCYON_TESTS_TESTING_TEMP_DIR_H_
#define HALCYON_TESTS_TESTING_TEMP_DIR_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "base/check.h"
#include "base/env.h"

namespace halcyon::testing {

// Unique however many tests and processes run at once.
class TempDir {
 public:
  TempDir() : path_(JoinPath(::testing::TempDir(), "halcyon-test-XXXXXX")) {
    HALCYON_CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  // The path of an entry of the folder; "" is the folder itself.
  std::string Path(const std::string& name) const {
    return name.empty() ? path_ : JoinPath(path_, name);
  }

 private:
  std::string path_;
};

}  // namespace halcyon::testing

#endif  // HALCYON_TESTS_TESTING_TEMP_DIR_H_
