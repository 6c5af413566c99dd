#include "base/exit_code.h"

#include <gtest/gtest.h>

#include <tuple>

namespace halcyon {
namespace {

// Scripts rely on these numbers; docs/failure_model.md lists them.
TEST(ExitCode, TellsAScriptWhatToDoNext) {
  const std::tuple<absl::StatusCode, int> kCases[] = {
      {absl::StatusCode::kOk, 0},
      {absl::StatusCode::kInvalidArgument, 2},
      {absl::StatusCode::kNotFound, 2},
      {absl::StatusCode::kInternal, 3},
      {absl::StatusCode::kDataLoss, 3},
      {absl::StatusCode::kFailedPrecondition, 3},
      {absl::StatusCode::kAborted, 4},
      {absl::StatusCode::kUnavailable, 4},
      {absl::StatusCode::kResourceExhausted, 5},
      {absl::StatusCode::kCancelled, 6},
  };
  for (const auto& [code, expected] : kCases) {
    EXPECT_EQ(static_cast<int>(ExitCodeOf(absl::Status(code, "m"))), expected)
        << absl::StatusCodeToString(code);
  }
}

}  // namespace
}  // namespace halcyon
