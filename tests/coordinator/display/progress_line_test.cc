#include "coordinator/display/progress_line.h"

#include <gtest/gtest.h>

namespace halcyon::coordinator {
namespace {

TEST(ProgressLineTest, ColumnsAreThoseOfATerminal) {
  EXPECT_EQ(ColumnsOf("abc"), 3u);
  EXPECT_EQ(ColumnsOf("\xC3\xA9t\xC3\xA9"), 3u);
  EXPECT_EQ(ColumnsOf("\xE6\xBC\xA2\xE5\xAD\x97"), 4u) << "two ideographs";
  EXPECT_EQ(ColumnsOf("\xF0\x9F\x98\x80"), 2u) << "a pictograph";
  EXPECT_EQ(ColumnsOf("a\xFF\xE6z"), 4u) << "what is no UTF-8";
  EXPECT_EQ(ColumnsOf(""), 0u);
}

TEST(ProgressLineTest, ACutIsBetweenCharactersAndLeavesNoControls) {
  EXPECT_EQ(CutToWidth("\xC3\xA9\xC3\xA9\xC3\xA9", 2), "\xC3\xA9\xC3\xA9");
  EXPECT_EQ(CutToWidth("a\xE6\xBC\xA2z", 2), "a") << "half an ideograph is none";
  EXPECT_EQ(CutToWidth("a\xE6\xBC\xA2z", 3), "a\xE6\xBC\xA2");
  EXPECT_EQ(CutToWidth("a\x1b[2J\n\x7f\xC2\x9B"
                       "b",
                       99),
            "a [2J   b");
  EXPECT_EQ(CutToWidth("abc", 0), "");
}

TEST(ProgressLineTest, PartsOfLowRankGoFirst) {
  const std::vector<LinePart> parts = {
      {"name", 2}, {"[bar]", 0}, {"", 5}, {"loss 1.5", kAlwaysShown, "1.5"}, {"note", 1}};
  EXPECT_EQ(JoinToWidth(parts, 27), "name  [bar]  loss 1.5  note");
  EXPECT_EQ(JoinToWidth(parts, 26), "name  loss 1.5  note");
  EXPECT_EQ(JoinToWidth(parts, 19), "name  loss 1.5");
  EXPECT_EQ(JoinToWidth(parts, 13), "loss 1.5");
  EXPECT_EQ(JoinToWidth(parts, 7), "1.5");
  EXPECT_EQ(JoinToWidth(parts, 2), "1.");
  EXPECT_EQ(JoinToWidth({}, 10), "");
}

}  // namespace
}  // namespace halcyon::coordinator
