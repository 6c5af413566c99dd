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

std::map<std::string, std::string> StatesOf(SmallJob& job) {
  std::map<std::string, std::string> states;
  const json status = job.Status();
  for (const json& stage : status.at("stages")) states[stage["stage"]] = stage["state"];
  return states;
}

// The summary's counts of each source add up to those of the tokens.
void ExpectCountsOfSources(SmallJob& job, const std::vector<std::string>& names) {
  const std::string id = job.Status().at("job_id");
  const json summary =
      json::parse(*Env::Posix()->ReadFile(job.home() + "/jobs/" + id + "/summary.json"));
  const json& facts = summary["stages"]["tokens"]["facts"];
  ASSERT_EQ(facts["sources"].size(), names.size()) << facts;
  for (const std::string count : {"documents", "tokens"}) {
    for (const std::string split : {"", "heldout_"}) {
      uint64_t sum = 0;
      for (size_t i = 0; i < names.size(); ++i) {
        EXPECT_EQ(facts["sources"][i]["name"], names[i]);
        sum += facts["sources"][i][split + count].get<uint64_t>();
      }
      EXPECT_EQ(facts[(split.empty() ? "train." : "heldout.") + count], sum) << split << count;
    }
  }
}

TEST(InputTest, SourcesGiveTheirSharesAndOtherWeightsMakeTheModelAgain) {
  SmallJob job("sources");
  // As many bytes as the first, so that only the weights make one come more often.
  const std::string text = *Env::Posix()->ReadFile(job.root() + "/corpus.txt");
  ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), job.root() + "/more.txt", text + "Zo\n").ok());
  job.values().erase("data.sources");
  const auto weigh = [&](const std::string& weight) {
    job.values()["data.source"] =
        "[{ name = \"first\", paths = [\"corpus.txt\"], weight = 1 }, "
        "{ name = \"more\", paths = [\"more.txt\"], weight = " +
        weight + " }]";
    job.Write();
  };
  weigh("3");
  const RunResult run = job.Run();
  ASSERT_TRUE(run.status.ok()) << run.status.ToString() << "\n" << run.output;
  EXPECT_NE(run.output.find("first 25.00 % of the windows ("), std::string::npos) << run.output;
  EXPECT_NE(run.output.find(" passes), more 75.00 % ("), std::string::npos) << run.output;
  EXPECT_NE(run.output.find(" held out, 75.00 % of the windows\n"), std::string::npos)
      << run.output;
  ExpectCountsOfSources(job, {"first", "more"});
  const json record =
      json::parse(*Env::Posix()->ReadFile(job.ArtifactOf("model") + "/artifact.json"));
  const json& sources = record["facts"]["sources"];
  ASSERT_EQ(sources.size(), 2u) << sources;
  double samples = 0;
  for (const json& one : sources) {
    samples += one["passes"].get<double>() * one["windows"].get<double>();
  }
  EXPECT_NEAR(samples, 16 * 5, 1e-6);

  const std::string earlier = job.root() + "/earlier.toml";
  ASSERT_TRUE(
      WriteFileAtomically(*Env::Posix(), earlier, *Env::Posix()->ReadFile(job.job_file())).ok());
  weigh("4");
  const RunResult compared = job.Halcyon({"cache", "explain", earlier, job.job_file()});
  ASSERT_TRUE(compared.status.ok()) << compared.output;
  EXPECT_NE(compared.output.find("latents      the same\n"), std::string::npos) << compared.output;
  EXPECT_NE(compared.output.find("model        data.source[0].share: 0.25 -> 0.2\n"),
            std::string::npos)
      << compared.output;
  const RunResult mixed = job.Halcyon({"cache", "explain", job.ArtifactOf("model"), earlier});
  EXPECT_EQ(mixed.status.code, 2);
  EXPECT_NE(mixed.output.find("earlier.toml is none; give two job files or two folders"),
            std::string::npos)
      << mixed.output;
  const RunResult again = job.Run();
  ASSERT_TRUE(again.status.ok()) << again.output;
  const auto states = StatesOf(job);
  EXPECT_EQ(states.at("tokens"), "reused");
  EXPECT_EQ(states.at("autoencoder"), "reused");
  EXPECT_EQ(states.at("latents"), "reused");
  EXPECT_EQ(states.at("model"), "done");
  const std::string folder = job.home() + "/artifacts/model/";
  const auto models = Env::Posix()->ListDir(folder);
  ASSERT_EQ(models->size(), 2u);
  const RunResult of_models =
      job.Halcyon({"cache", "explain", folder + models->at(0), folder + models->at(1)});
  EXPECT_NE(of_models.output.find("model        data.source[0].share: 0.2"), std::string::npos)
      << of_models.output;
}

TEST(InputTest, SourcesThatAreHeldOutAreScoredApart) {
  SmallJob job("heldout");
  const std::string text = *Env::Posix()->ReadFile(job.root() + "/corpus.txt");
  ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), job.root() + "/more.txt", text + "Zo\n").ok());
  job.values()["data.heldout"] = "0.1";
  job.values()["data.heldout_sources"] = "[\"more.txt\"]";
  job.Write();
  const RunResult run = job.Run();
  ASSERT_TRUE(run.status.ok()) << run.status.ToString() << "\n" << run.output;
  EXPECT_NE(run.output.find("of heldout_sources BrierLM "), std::string::npos) << run.output;
  const auto facts_of = [&](const std::string& stage) {
    return json::parse(*Env::Posix()->ReadFile(job.ArtifactOf(stage) + "/artifact.json"))["facts"];
  };
  const json tokens = facts_of("tokens");
  EXPECT_GT(tokens["heldout.tokens"], tokens["train.tokens"]);
  EXPECT_EQ(tokens["heldout_shards"],
            tokens["shards"].get<int>() - tokens["first_shards_of_files"][1].get<int>());
  const json eval = facts_of("eval");
  ASSERT_EQ(eval["heldout_parts"].size(), 2u) << eval;
  EXPECT_EQ(eval["heldout_parts"][0]["name"], "sources");
  EXPECT_EQ(eval["heldout_parts"][1]["name"], "heldout_sources");
  for (const json& part : eval["heldout_parts"]) {
    EXPECT_GT(part["windows"], 0) << eval;
    EXPECT_GT(part["heldout_loss"], 0) << eval;
  }
  const RunResult report = job.Halcyon({"eval"});
  EXPECT_NE(report.output.find("heldout_sources "), std::string::npos) << report.output;
}

TEST(InputTest, ASourceOfLessThanAWindowIsRefusedBeforeAnythingIsTrained) {
  SmallJob job("source");
  ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), job.root() + "/tiny.txt", "Zo\n").ok());
  job.values().erase("data.sources");
  job.values()["data.source"] =
      "[{ name = \"first\", paths = [\"corpus.txt\"], weight = 1 }, "
      "{ name = \"tiny\", paths = [\"tiny.txt\"], weight = 1 }]";
  job.Write();
  const RunResult run = job.Run();
  EXPECT_EQ(run.status.code, 2) << run.output;
  EXPECT_NE(run.output.find("data.source \"tiny\": its training text of "), std::string::npos)
      << run.output;
  EXPECT_EQ(run.output.find("autoencoder: made"), std::string::npos) << run.output;
}

}  // namespace
}  // namespace halcyon
