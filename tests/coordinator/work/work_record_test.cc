#include "coordinator/work/work_record.h"

#include <gtest/gtest.h>

#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

WorkRecord Some() {
  WorkRecord record;
  record.identity = {jobs::StageKind::kModel, {{"train.steps", "16"}, {"input.tokens", "5eed"}}};
  record.job_id = "quick-1";
  record.created_ms = 1234;
  record.continued_from = "model-0123456789abcdef";
  record.continued_step = 7;
  return record;
}

TEST(WorkRecordTest, WhatIsWrittenIsReadBack) {
  testing::TempDir dir;
  Env& env = *Env::Posix();
  EXPECT_TRUE(absl::IsNotFound(ReadWorkRecord(env, dir.path()).status()));
  ASSERT_TRUE(WriteWorkRecord(env, dir.path(), Some()).ok());
  const auto read = ReadWorkRecord(env, dir.path());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->identity.kind, jobs::StageKind::kModel);
  EXPECT_EQ(read->identity.fields, Some().identity.fields);
  EXPECT_EQ(read->job_id, "quick-1");
  EXPECT_EQ(read->created_ms, 1234);
  EXPECT_EQ(read->continued_from, "model-0123456789abcdef");
  EXPECT_EQ(read->continued_step, 7u);
}

// A record decides which checkpoint a stage goes on from: a field must not change unnoticed.
TEST(WorkRecordTest, AChangedFieldOrAnotherVersionIsDataLoss) {
  testing::TempDir dir;
  Env& env = *Env::Posix();
  ASSERT_TRUE(WriteWorkRecord(env, dir.path(), Some()).ok());
  const std::string path = dir.Path(kWorkRecordFile);
  const std::string text = *env.ReadFile(path);
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string other = text;
    const size_t at = other.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    other.replace(at, from.size(), to);
    EXPECT_TRUE(WriteFileAtomically(env, path, other).ok());
    return ReadWorkRecord(env, dir.path()).status();
  };
  EXPECT_TRUE(absl::IsDataLoss(changed("\"16\"", "\"17\"")));
  EXPECT_TRUE(absl::IsDataLoss(changed("train.steps", "train.steqs")));
  EXPECT_TRUE(absl::IsDataLoss(changed("\"model\"", "\"latents\"")));
  EXPECT_TRUE(absl::IsDataLoss(changed("\"model\"", "\"modle\"")));
  EXPECT_TRUE(absl::IsDataLoss(changed("{", "")));
  const absl::Status newer = changed("\"version\": 1", "\"version\": 2");
  EXPECT_TRUE(absl::IsDataLoss(newer));
  EXPECT_NE(MessageOf(newer).find("version 2"), std::string::npos) << newer;
}

}  // namespace
}  // namespace halcyon::coordinator
