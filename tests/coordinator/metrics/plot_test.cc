#include "coordinator/metrics/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

namespace halcyon::coordinator {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(PlotTest, AStraightLineInAscii) {
  const Curve curve{"loss", {{1, 5}, {10, 1}}};
  // Ten columns are the least; 10 + 2 go to the labels.
  EXPECT_THAT(
      Lines(PlotText(curve, {.columns = 22, .rows = 10}, /*ascii=*/true)),
      ElementsAre("loss: 5 at step 1, 1 at step 10, least 1", "         5 |*         ",
                  "           | *        ", "           |  *       ", "           |   *      ",
                  "           |    *     ", "     2.778 |     *    ", "           |      *   ",
                  "           |       *  ", "           |        * ", "         1 |         *",
                  "            1       10"));
}

// Twenty by four dots fall from the upper left to the lower right: two cells, then three, three and
// two with both dots in the first, second, third and fourth row. In the Unicode chart those are
// U+2800 + 0x09, 0x12, 0x24 and 0xC0.
TEST(PlotTest, BrailleDotsStandWhereTheyBelong) {
  const Curve curve{"loss", {{0, 1}, {19, 0}}};
  const auto lines = Lines(PlotText(curve, {.columns = 22, .rows = 1}, /*ascii=*/false));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[1],
              testing::EndsWith("\u2809\u2809\u2812\u2812\u2812\u2824\u2824\u2824\u28C0\u28C0"));
}

TEST(PlotTest, OnePointAndALevelCurveAreDrawn) {
  for (const auto& points : {std::vector<std::pair<double, double>>{{7, 3}},
                             std::vector<std::pair<double, double>>{{1, 0}, {9, 0}}}) {
    const std::string text = PlotText({"x", points}, {.columns = 40, .rows = 5}, true);
    EXPECT_THAT(text, HasSubstr("*"));
    EXPECT_EQ(Lines(text).size(), 7u);
  }
}

TEST(PlotTest, TicksAreRoundAndInside) {
  EXPECT_THAT(RoundTicks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(RoundTicks(0.13, 0.31, 4),
              ElementsAre(DoubleNear(0.15, 1e-12), DoubleNear(0.2, 1e-12), DoubleNear(0.25, 1e-12),
                          DoubleNear(0.3, 1e-12)));
  EXPECT_THAT(RoundTicks(-7, 1003, 2), ElementsAre(0, 1000));
  // Bounds whose difference is at the end of a double's digits must not take for ever.
  EXPECT_LE(RoundTicks(1, std::nextafter(1.0, 2.0), 6).size(), 13u);
}

TEST(PlotTest, SvgHasAPanelACurveAndEscapesNames) {
  const std::string svg =
      PlotSvg("job <a> & b", {{"loss", {{1, 2}, {2, 1}}}, {"eval.heldout_loss", {{2, 1.5}}}});
  EXPECT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"800\" "));
  EXPECT_THAT(svg, HasSubstr("job &lt;a&gt; &amp; b"));
  EXPECT_THAT(svg, HasSubstr(">eval.heldout_loss</text>"));
  // Of the first panel: left, right and lower edges of its axes.
  EXPECT_THAT(svg, HasSubstr("points=\"80.0,76.0 780.0,296.0 \""));
}

TEST(PlotTest, ThinningKeepsEveryPeak) {
  Curve curve{"loss", {}};
  for (int i = 0; i < 100000; ++i)
    curve.points.push_back({i, i == 54321 ? 100.0 : i == 777 ? -100 : 0.0});
  const std::string svg = PlotSvg("t", {curve});
  EXPECT_LT(svg.size(), 100000u);
  // The peak touches the panel's upper edge and the trough its lower one.
  EXPECT_THAT(svg, HasSubstr(",76.0 "));
  EXPECT_THAT(svg, HasSubstr(",296.0 "));
}

}  // namespace
}  // namespace halcyon::coordinator
