#include "base/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <tuple>

namespace halcyon {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::StatusOr<std::unique_ptr<int>> MakeNumber(bool good) {
  if (!good) return NotFound("no number");
  return std::make_unique<int>(7);
}

absl::StatusOr<int> Double(bool good) {
  ASSIGN_OR_RETURN(const std::unique_ptr<int> number, MakeNumber(good));
  return 2 * *number;
}

absl::StatusOr<int> DoubleWithContext(bool good) {
  ASSIGN_OR_RETURN(const std::unique_ptr<int> number, MakeNumber(good), "task 3");
  return 2 * *number;
}

absl::Status Count(const absl::Status& status, int& reached) {
  RETURN_IF_ERROR(status);
  ++reached;
  RETURN_IF_ERROR(status, "never seen");
  ++reached;
  return absl::OkStatus();
}

absl::Status WithContext(const absl::Status& status, int& evaluations) {
  const auto evaluate = [&] {
    ++evaluations;
    return status;
  };
  RETURN_IF_ERROR(evaluate(), "shard " + std::to_string(4));
  return absl::OkStatus();
}

TEST(StatusMacros, AssignGivesTheValueOrReturnsTheError) {
  EXPECT_EQ(Double(true).value(), 14);
  EXPECT_EQ(Double(false).status(), NotFound("no number"));
}

TEST(StatusMacros, AssignAddsContextToErrorsOnly) {
  EXPECT_EQ(DoubleWithContext(true).value(), 14);
  EXPECT_EQ(DoubleWithContext(false).status(), NotFound("task 3: no number"));
}

TEST(StatusMacros, ReturnStopsAtTheFirstError) {
  int reached = 0;
  EXPECT_EQ(Count(DataLoss("bad sum"), reached), DataLoss("bad sum"));
  EXPECT_EQ(reached, 0);
  EXPECT_TRUE(Count(absl::OkStatus(), reached).ok());
  EXPECT_EQ(reached, 2);
}

TEST(StatusMacros, ReturnAddsContextAndEvaluatesOnce) {
  int evaluations = 0;
  EXPECT_EQ(WithContext(Aborted("fenced"), evaluations), Aborted("shard 4: fenced"));
  EXPECT_EQ(evaluations, 1);
  EXPECT_TRUE(WithContext(absl::OkStatus(), evaluations).ok());
}

TEST(Status, MakersGiveTheirCode) {
  const std::tuple<absl::Status, absl::StatusCode> kCases[] = {
      {InvalidArgument("m"), absl::StatusCode::kInvalidArgument},
      {NotFound("m"), absl::StatusCode::kNotFound},
      {AlreadyExists("m"), absl::StatusCode::kAlreadyExists},
      {DataLoss("m"), absl::StatusCode::kDataLoss},
      {ResourceExhausted("m"), absl::StatusCode::kResourceExhausted},
      {Unavailable("m"), absl::StatusCode::kUnavailable},
      {Aborted("m"), absl::StatusCode::kAborted},
      {FailedPrecondition("m"), absl::StatusCode::kFailedPrecondition},
      {Internal("m"), absl::StatusCode::kInternal},
  };
  for (const auto& [status, code] : kCases) {
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(MessageOf(status), "m");
  }
}

TEST(Status, AnnotateKeepsTheCodeAndLeavesOkAlone) {
  EXPECT_EQ(Annotate(Unavailable("gone"), "rank 1"), Unavailable("rank 1: gone"));
  EXPECT_TRUE(Annotate(absl::OkStatus(), "rank 1").ok());
}

TEST(Status, ErrnoSaysWhatTheCallerCanDo) {
  const std::tuple<int, absl::StatusCode, std::string> kCases[] = {
      {ENOSPC, absl::StatusCode::kResourceExhausted, "No space left on device"},
      {EDQUOT, absl::StatusCode::kResourceExhausted, "quota"},
      {ENOENT, absl::StatusCode::kNotFound, "No such file or directory"},
      {EACCES, absl::StatusCode::kFailedPrecondition, "Permission denied"},
      {EISDIR, absl::StatusCode::kFailedPrecondition, "Is a directory"},
      {EXDEV, absl::StatusCode::kFailedPrecondition, "Invalid cross-device link"},
      {EIO, absl::StatusCode::kInternal, "Input/output error"},
  };
  for (const auto& [error, code, words] : kCases) {
    const absl::Status status = ErrnoStatus(error, "cannot write a");
    EXPECT_EQ(status.code(), code) << error;
    EXPECT_THAT(MessageOf(status), StartsWith("cannot write a: "));
    EXPECT_THAT(MessageOf(status), HasSubstr(words));
  }
}

}  // namespace
}  // namespace halcyon
