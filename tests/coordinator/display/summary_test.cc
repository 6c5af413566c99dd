#include "coordinator/display/summary.h"

#include <gtest/gtest.h>

#include "tests/coordinator/whole_graph.h"

namespace halcyon::coordinator {
namespace {

TEST(SummaryTest, TellsTheFiguresThatAreThere) {
  JobStatus status = NewJobStatus("quick-1a2b3c4d", "quick", WholeGraph());
  status.started_ms = 1000;
  status.updated_ms = 251000;
  status.Stage(jobs::StageKind::kTokens).state = jobs::StageState::kReused;
  std::map<jobs::StageKind, Artifact> artifacts;
  artifacts[jobs::StageKind::kTokens].facts = {{"train.tokens", 9876543}, {"invalid_utf8", 3}};
  artifacts[jobs::StageKind::kTokens].record.path = "/h/artifacts/tokens/x";
  artifacts[jobs::StageKind::kEval].facts = {
      {"brier_lm", 5.25},
      {"brier_low", 4.5},
      {"brier_high", 6.0},
      {"continuations", {{{"prompt", "Ab\nout"}, {"text", " it"}}}}};
  const std::string text = SummaryText(status, artifacts);
  EXPECT_NE(text.find("quick-1a2b3c4d is done, 4m 10s"), std::string::npos) << text;
  EXPECT_NE(text.find("9.88M tokens to train on, 3 invalid UTF-8 sequences replaced (reused)"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("/h/artifacts/tokens/x"), std::string::npos);
  EXPECT_NE(text.find("BrierLM 5.250 (95 % interval 4.500 to 6.000)\n"), std::string::npos) << text;
  EXPECT_NE(text.find("    Ab\n    out| it\n"), std::string::npos) << text;
  EXPECT_NE(text.find("halcyon generate --job quick-1a2b3c4d"), std::string::npos);
  EXPECT_NE(SummaryText(status, artifacts, "/a home")
                .find("  halcyon --home '/a home' generate --job quick-1a2b3c4d"),
            std::string::npos);
  const nlohmann::json json = SummaryJson(status, artifacts);
  EXPECT_EQ(json["seconds"], 250.0);
  EXPECT_EQ(json["stages"]["tokens"]["state"], "reused");
  EXPECT_EQ(json["stages"]["tokens"]["facts"]["train.tokens"], 9876543);
}

TEST(SummaryTest, OfAPartialJobSaysWhatIsLeft) {
  JobStatus status = NewJobStatus("j", "j", WholeGraph());
  status.state = jobs::JobState::kPartial;
  status.until = "tokens";
  status.Stage(jobs::StageKind::kTokenizer).state = jobs::StageState::kReused;
  status.Stage(jobs::StageKind::kTokens).state = jobs::StageState::kDone;
  std::map<jobs::StageKind, Artifact> artifacts;
  artifacts[jobs::StageKind::kTokens].facts = {{"train.tokens", 7}};
  const std::string text = SummaryText(status, artifacts);
  EXPECT_NE(text.find("\nj is made until tokens, 0s\n"), std::string::npos) << text;
  EXPECT_NE(
      text.find("\nit is made until tokens; autoencoder, latents, model and eval are left: the "
                "same command without --until goes on with them\n"),
      std::string::npos)
      << text;
  EXPECT_EQ(text.find("generate"), std::string::npos) << "there is no model";
  EXPECT_EQ(SummaryJson(status, artifacts)["state"], "partial");
}

TEST(SummaryTest, WarnsOfWhatDidNotLearnEvenWhereItWasReused) {
  JobStatus status = NewJobStatus("j", "j", WholeGraph());
  status.Stage(jobs::StageKind::kAutoencoder).state = jobs::StageState::kReused;
  std::map<jobs::StageKind, Artifact> artifacts;
  artifacts[jobs::StageKind::kAutoencoder].facts = {{"heldout_reconstruction", 0.2}};
  artifacts[jobs::StageKind::kEval].facts = {
      {"brier_lm", 0.0}, {"brier_low", 0.0}, {"brier_high", 0.1}, {"brier", {0.1, 0.1, 0.1, -0.1}}};
  const std::string text = SummaryText(status, artifacts);
  EXPECT_NE(text.find("\nWARNING: the autoencoder gives back 20.00 %"), std::string::npos) << text;
  EXPECT_NE(text.find("\nWARNING: BrierLM is 0"), std::string::npos) << text;
  artifacts[jobs::StageKind::kAutoencoder].facts = {{"heldout_reconstruction", 0.99}};
  artifacts[jobs::StageKind::kEval].facts["brier_lm"] = 0.5;
  EXPECT_EQ(SummaryText(status, artifacts).find("WARNING"), std::string::npos);
}

TEST(SummaryTest, SuggestsAnEvaluationOnlyWhereThereWasAScore) {
  std::map<jobs::StageKind, Artifact> artifacts;
  artifacts[jobs::StageKind::kTokens].facts = {{"train.documents", 1}};
  artifacts[jobs::StageKind::kEval].facts = {{"no_score", "no text is held out"}};
  const std::string text = SummaryText(NewJobStatus("j", "j", WholeGraph()), artifacts);
  EXPECT_NE(text.find(" 1 document\n"), std::string::npos) << text;
  EXPECT_NE(text.find("no score: no text is held out"), std::string::npos) << text;
  EXPECT_EQ(text.find("halcyon eval"), std::string::npos) << text;
  artifacts[jobs::StageKind::kEval].facts = {{"brier_lm", 1.0}};
  EXPECT_NE(
      SummaryText(NewJobStatus("j", "j", WholeGraph()), artifacts).find("halcyon eval --job j"),
      std::string::npos);
}

TEST(SummaryTest, TellsTheTokensOfSources) {
  std::map<jobs::StageKind, Artifact> artifacts;
  artifacts[jobs::StageKind::kTokens].facts = {{"train.tokens", 3000},
                                               {"sources",
                                                {{{"name", "web"},
                                                  {"documents", 20},
                                                  {"tokens", 2000},
                                                  {"heldout_documents", 1},
                                                  {"heldout_tokens", 77},
                                                  {"share", 0.7}},
                                                 {{"name", "heldout_sources"},
                                                  {"documents", 0},
                                                  {"tokens", 0},
                                                  {"heldout_documents", 9},
                                                  {"heldout_tokens", 5}}}}};
  const std::string text = SummaryText(NewJobStatus("j", "j", WholeGraph()), artifacts);
  EXPECT_NE(
      text.find("\n            web 2.00k tokens to train on in 20 documents, 77 held out, 70.00 "
                "% of the windows; heldout_sources 0 tokens to train on in 0 documents, 5 held "
                "out\n"),
      std::string::npos)
      << text;
}

TEST(SummaryTest, TellsTheSharesOfSources) {
  std::map<jobs::StageKind, Artifact> artifacts;
  artifacts[jobs::StageKind::kModel].facts = {
      {"steps", 12},
      {"sources",
       {{{"name", "web"}, {"share", 0.7}, {"passes", 0.431}},
        {{"name", "books"}, {"share", 0.3}, {"passes", 12.0}},
        {{"name", 7}, {"share", 0.3}, {"passes", 12.0}},
        3}}};
  const std::string text = SummaryText(NewJobStatus("j", "j", WholeGraph()), artifacts);
  EXPECT_NE(
      text.find("\n            web 70.00 % of the windows (0.43 passes), books 30.00 % (12.00 "
                "passes)\n"),
      std::string::npos)
      << text;
}

TEST(SummaryTest, FiguresOfAnotherTypeAreLeftOut) {
  std::map<jobs::StageKind, Artifact> artifacts;
  artifacts[jobs::StageKind::kModel].facts = {{"loss", "high"}, {"steps", 12}};
  const std::string text = SummaryText(NewJobStatus("j", "j", WholeGraph()), artifacts);
  EXPECT_NE(text.find("12 steps"), std::string::npos);
  EXPECT_EQ(text.find("loss"), std::string::npos);
}

}  // namespace
}  // namespace halcyon::coordinator
