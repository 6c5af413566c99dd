// Text and tokenizers as people have them, with the programs themselves.
#include <gtest/gtest.h>

#include "base/env.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

using nlohmann::json;

TEST(InputTest, AnImportedTokenizerAndNoHeldOutTextTrainToTheEnd) {
  SmallJob job("input");
  const std::string tokenizer = job.root() + "/t.json";
  const RunResult learned =
      job.Halcyon({"tokenizer", "train", "--input", job.root() + "/corpus.txt", "--documents",
                   "entries", "--vocab-size", "300", "--output", tokenizer});
  ASSERT_TRUE(learned.status.ok()) << learned.output;
  job.values()["tokenizer.path"] = "\"" + tokenizer + "\"";
  job.values().erase("tokenizer.vocab_size");
  job.values()["data.heldout"] = "0.0";
  job.values()["eval.every"] = "0";
  job.Write();
  const RunResult run = job.Run();
  ASSERT_TRUE(run.status.ok()) << run.status.ToString() << "\n" << run.output;
  const size_t warned = run.output.find("there will be no score: data.heldout = 0 leaves no text");
  EXPECT_LT(warned, run.output.find("autoencoder: made")) << run.output;
  EXPECT_NE(run.output.find("no score: no text is held out"), std::string::npos) << run.output;
  const auto report = json::parse(*Env::Posix()->ReadFile(job.ArtifactOf("eval") + "/report.json"));
  EXPECT_FALSE(report.contains("brier_lm"));
  EXPECT_FALSE(report["continuations"].empty()) << report;

  const RunResult explained = job.Halcyon({"cache", "explain", job.job_file()});
  EXPECT_TRUE(explained.status.ok()) << explained.output;
  EXPECT_NE(explained.output.find("reused"), std::string::npos) << explained.output;
}

}  // namespace
}  // namespace halcyon
