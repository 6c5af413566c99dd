#include "coordinator/display/quality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace halcyon::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(QualityTest, AnAutoencoderBelow95PerCentIsNamed) {
  const auto warning = [](double reconstruction) {
    return QualityWarning(jobs::StageKind::kAutoencoder,
                          {{"heldout_reconstruction", reconstruction}});
  };
  EXPECT_THAT(warning(0.2012), HasSubstr("gives back 20.12 % of held-out tokens"));
  EXPECT_THAT(warning(0.2012), HasSubstr("[autoencoder.train] steps"));
  EXPECT_NE(warning(0.9499), "");
  EXPECT_EQ(warning(0.95), "");
  EXPECT_EQ(warning(0.9998), "");
}

TEST(QualityTest, ABrierLmOfZeroIsExplainedByItsFactors) {
  const std::string warning = QualityWarning(
      jobs::StageKind::kEval, {{"brier_lm", 0.0}, {"brier", {0.01, 0.002, -0.00003, 0.0}}});
  EXPECT_THAT(warning, HasSubstr("BrierLM is 0"));
  EXPECT_THAT(warning, HasSubstr("(Brier-3 = -3e-05, Brier-4 = 0)"));
  EXPECT_THAT(warning, Not(HasSubstr("Brier-1")));
  EXPECT_EQ(QualityWarning(jobs::StageKind::kEval, {{"brier_lm", 0.01}, {"brier", {1, 1, 1, -1}}}),
            "");
}

TEST(QualityTest, MissingFiguresGiveNoWarning) {
  EXPECT_EQ(QualityWarning(jobs::StageKind::kAutoencoder, {{"heldout_reconstruction", nullptr}}),
            "");
  EXPECT_EQ(QualityWarning(jobs::StageKind::kEval, nlohmann::json::object()), "");
  EXPECT_EQ(QualityWarning(jobs::StageKind::kEval, nullptr), "");
  EXPECT_EQ(QualityWarning(jobs::StageKind::kModel, {{"brier_lm", 0}}), "");
}

}  // namespace
}  // namespace halcyon::coordinator
