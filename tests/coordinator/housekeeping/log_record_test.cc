#include "coordinator/housekeeping/log_record.h"

#include <gtest/gtest.h>

namespace halcyon::coordinator {
namespace {

TEST(LogRecordTest, ALineIsItsFields) {
  const auto record = ParseLogLine(
      "2026-01-31T12:00:00.123Z warning model-rank-1 job=quick-3f2a91c0 stage=model rank=1 "
      "step=12: "
      "slow: 3 s");
  ASSERT_TRUE(record);
  EXPECT_EQ(ToJson(*record), nlohmann::json::parse(R"({"time": "2026-01-31T12:00:00.123Z",
      "level": "warning", "process": "model-rank-1", "job": "quick-3f2a91c0", "stage": "model",
      "rank": "1", "step": "12", "message": "slow: 3 s"})"));
}

TEST(LogRecordTest, ALineMayHaveNoFieldsAndNoMessage) {
  const auto record = ParseLogLine("2026-01-31T12:00:00.123Z info coordinator: ");
  ASSERT_TRUE(record);
  EXPECT_TRUE(record->fields.empty());
  EXPECT_EQ(record->message, "");
}

TEST(LogRecordTest, OtherLinesAreNone) {
  for (const char* line :
       {"", "terminate called after throwing", "2026-01-31T12:00:00.123Z",
        "2026-01-31T12:00:00.123Z ", "2026-01-31T12:00:00.123Z info coordinator no colon",
        "2026-01-31T12:00:00.123Z info: two words",
        "2026-01-31T12:00:00.123Z info agent-0 what: no field",
        "2026-01-31 12:00:00.123Z info coordinator: other stamp"}) {
    EXPECT_FALSE(ParseLogLine(line)) << line;
  }
}

TEST(LogRecordTest, AnyLineIsJson) {
  const auto lines = LogLinesOf("model-rank-1",
                                "first: words\n2026-01-31T12:00:00.123Z error model-rank-1 rank=1 "
                                "stage=model step=12: bad\n  at: here\n");
  ASSERT_EQ(lines.size(), 3u);
  const auto parse = [](const char* text) { return nlohmann::json::parse(text); };
  EXPECT_EQ(JsonOfLine(lines[0]), parse(R"({"time": null, "level": null,
      "process": "model-rank-1", "message": "first: words"})"));
  EXPECT_EQ(JsonOfLine(lines[1]), parse(R"({"time": "2026-01-31T12:00:00.123Z", "level": "error",
      "process": "model-rank-1", "rank": 1, "stage": "model", "step": 12, "message": "bad"})"));
  EXPECT_EQ(JsonOfLine(lines[2]), parse(R"({"time": "2026-01-31T12:00:00.123Z", "level": null,
      "process": "model-rank-1", "message": "  at: here"})"));
}

}  // namespace
}  // namespace halcyon::coordinator
