#include "pipeline/token_files/stored_ids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipeline/source_fixture.h"
#include "tests/pipeline/token_file_bytes.h"

namespace halcyon::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class StoredIdsTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::vector<uint32_t>> Read(const std::string& bytes) {
    PutFile(dir_.Path("ids.npy"), bytes);
    return ReadIds(*Env::Posix(), dir_.Path("ids.npy"), /*vocab_size=*/1000);
  }
  std::string Error(const std::string& bytes) {
    const absl::Status status = Read(bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return MessageOf(status);
  }

  testing::TempDir dir_;
};

TEST_F(StoredIdsTest, IntegersOfEachTypeAreTaken) {
  for (const char* type : {"<u2", "<i2", "<u4", "<i4", "<u8", "<i8"}) {
    const auto ids = Read(NpyOf(type, {0, 999, 258}));
    ASSERT_TRUE(ids.ok()) << type << ids.status();
    EXPECT_THAT(*ids, ElementsAre(0, 999, 258)) << type;
  }
}

TEST_F(StoredIdsTest, AnIdThatIsNoneIsNamedWithItsPlace) {
  for (const char* type : {"<u2", "<i2", "<u4", "<i4", "<u8", "<i8"}) {
    EXPECT_THAT(Error(NpyOf(type, {0, 1, 1000})),
                HasSubstr("ids.npy: token 2 (byte " + std::to_string(128 + 2 * (type[2] - '0')) +
                          ") is id 1000, which no token of the vocabulary has (0 to 999)"))
        << type;
  }
  for (const char* type : {"<i2", "<i4", "<i8"}) {
    EXPECT_THAT(Error(NpyOf(type, {3, -1})), HasSubstr(") is id -1,")) << type;
  }
  EXPECT_THAT(Error(NpyOf("<u8", {int64_t{1} << 32})), HasSubstr("is id 4294967296,"));
}

TEST_F(StoredIdsTest, OtherFilesAreNoArrays) {
  EXPECT_THAT(Error(LlmcOf(20240520, 1, {1, 2}, 2)), HasSubstr("not a NumPy file"));
  EXPECT_THAT(Error(NpyOf("<f4", {1})), HasSubstr("an array of type '<f4'"));
  EXPECT_THAT(Error("text"), HasSubstr("ids.npy: not a NumPy file of version 1.0"));
}

}  // namespace
}  // namespace halcyon::pipeline
