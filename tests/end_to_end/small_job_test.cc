// A small job from text to evaluation, and what a second run makes anew.
#include <gtest/gtest.h>

#include <set>

#include "base/env.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

using nlohmann::json;

// Stage -> state, from `halcyon status --json`.
std::map<std::string, std::string> StatesOf(const json& status) {
  std::map<std::string, std::string> states;
  for (const json& stage : status["stages"]) states[stage["stage"]] = stage["state"];
  return states;
}

std::set<std::string> MadeStages(SmallJob& job) {
  std::set<std::string> made;
  for (const auto& [stage, state] : StatesOf(job.Status())) {
    if (state == "done") made.insert(stage);
    EXPECT_TRUE(state == "done" || state == "reused") << stage << " is " << state;
  }
  return made;
}

TEST(SmallJobTest, RunsFromTextToSamplesAndReusesWhatFits) {
  SmallJob job("reuse");
  const RunResult first = job.Run();
  ASSERT_TRUE(first.status.ok()) << first.status.ToString() << "\n" << first.output;
  EXPECT_NE(first.output.find("BrierLM"), std::string::npos) << first.output;
  const std::string weights = job.WeightsOf("model");

  const RunResult second = job.Run();
  ASSERT_TRUE(second.status.ok()) << second.output;
  EXPECT_EQ(MadeStages(job), (std::set<std::string>{})) << second.output;

  job.values()["launch.ranks"] = "3";
  job.values()["launch.agents"] = "1";
  job.values()["checkpoint.every"] = "5";
  job.values()["eval.every"] = "0";
  job.Write();
  ASSERT_TRUE(job.Run().status.ok());
  EXPECT_EQ(MadeStages(job), (std::set<std::string>{})) << "how it runs is no part of what it is";
  EXPECT_EQ(job.WeightsOf("model"), weights);

  job.values()["launch.ranks"] = "1";
  job.values()["train.learning_rate"] = "1e-3";
  job.Write();
  const RunResult train = job.Run();
  ASSERT_TRUE(train.status.ok()) << train.output;
  EXPECT_EQ(MadeStages(job), (std::set<std::string>{"model", "eval"}));
  EXPECT_NE(train.output.find("train.learning_rate"), std::string::npos) << train.output;

  job.values()["autoencoder.chunk_size"] = "2";
  job.Write();
  const RunResult chunk = job.Run();
  ASSERT_TRUE(chunk.status.ok()) << chunk.output;
  EXPECT_EQ(MadeStages(job), (std::set<std::string>{"autoencoder", "latents", "model", "eval"}));
  EXPECT_NE(chunk.output.find("autoencoder.chunk_size"), std::string::npos) << chunk.output;
}

TEST(SmallJobTest, MakesDataFirstAndTrainsLater) {
  SmallJob job("until");
  const RunResult unknown = job.Halcyon({"run", job.job_file(), "--until", "vectors"});
  EXPECT_EQ(unknown.status.code, 2) << unknown.output;
  EXPECT_NE(unknown.output.find("its stages are tokenizer, tokens, autoencoder, latents, model, "
                                "eval"),
            std::string::npos)
      << unknown.output;
  const RunResult data = job.Halcyon({"run", job.job_file(), "--until", "tokens"});
  ASSERT_TRUE(data.status.ok()) << data.output;
  EXPECT_NE(data.output.find("autoencoder, latents, model and eval are left: the same command "
                             "without --until goes on with them"),
            std::string::npos)
      << data.output;
  EXPECT_EQ(job.Status()["state"], "partial");
  EXPECT_TRUE(job.Halcyon({"wait"}).status.ok());
  const json list = json::parse(job.Halcyon({"list", "--json"}).output);
  EXPECT_EQ(list["jobs"][0]["state"], "partial");
  const RunResult why = job.Halcyon({"why"});
  EXPECT_NE(why.output.find("it is made until tokens"), std::string::npos) << why.output;
  EXPECT_EQ(job.Halcyon({"generate", "--prompt", "a"}).status.code, 2) << "there is no model";

  const RunResult rest = job.Halcyon({"resume"});
  ASSERT_TRUE(rest.status.ok()) << rest.output;
  EXPECT_EQ(job.Status()["state"], "done");
  EXPECT_EQ(MadeStages(job), (std::set<std::string>{"autoencoder", "latents", "model", "eval"}));
  const RunResult again = job.Halcyon({"run", job.job_file(), "--until", "tokens"});
  ASSERT_TRUE(again.status.ok()) << again.output;
  EXPECT_EQ(job.Status()["state"], "done") << "nothing is left";
  EXPECT_EQ(MadeStages(job), (std::set<std::string>{}));
}

TEST(SmallJobTest, TheCommandsTellWhatIsThere) {
  SmallJob job("commands");
  const RunResult run = job.Run();
  ASSERT_TRUE(run.status.ok()) << run.output;
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"validate", job.job_file(), "--json"},
           {"list", "--json"},
           {"status", "--json"},
           {"cache", "list", "--json"},
           {"cache", "verify", "--json"},
           {"cache", "explain", job.job_file(), "--json"},
           {"checkpoint", "list", "--json"},
           {"checkpoint", "verify", "--json"},
           {"eval", "--windows", "2", "--samples", "2", "--json"},
           {"generate", "--prompt", "word", "--chunks", "4", "--temperature", "1", "--json"}}) {
    const RunResult result = job.Halcyon(command);
    EXPECT_TRUE(result.status.ok()) << command[0] << ": " << result.output;
    EXPECT_TRUE(json::accept(result.OutputWithoutInputs())) << command[0] << ": " << result.output;
    const RunResult full = job.HalcyonRedirected(">/dev/full", command);
    EXPECT_EQ(full.status.code, 5) << command[0] << ": " << full.output;
    EXPECT_EQ(full.OutputWithoutInputs().rfind(
                  "error: cannot write standard output: No space left on device", 0),
              0u)
        << command[0] << ": " << full.output;
  }
  const RunResult refused = job.Halcyon({"generate", "--prompt", "word", "--temperature", "0.7"});
  EXPECT_EQ(refused.status.code, 2);
  EXPECT_EQ(refused.OutputWithoutInputs().rfind("error: temperature 0.7", 0), 0u)
      << "no text stands before the error: " << refused.output;
}

TEST(SmallJobTest, AMissingStandardOutputGetsNoFileInItsPlace) {
  SmallJob job("descriptors");
  // As long as a name may be.
  job.values()["name"] = "\"" + std::string(100, 'n') + "\"";
  job.Write();
  const RunResult run = job.HalcyonRedirected("<&- >&- 2>&-", {"run", job.job_file()});
  ASSERT_TRUE(run.status.ok()) << run.status.ToString();
  // The first file that is written says the folder's format, and nothing else.
  EXPECT_EQ(*Env::Posix()->ReadFile(job.home() + "/format"), "2\n");
  EXPECT_TRUE(job.Halcyon({"cache", "verify"}).status.ok());
  const RunResult closed = job.HalcyonRedirected(">&-", {"list"});
  EXPECT_EQ(closed.status.code, 2) << closed.output;
  EXPECT_NE(closed.output.find("standard output: it is closed"), std::string::npos)
      << closed.output;
}

TEST(SmallJobTest, BadInputStartsNothing) {
  SmallJob job("bad-input");
  job.values()["train.learning_rat"] = "1e-3";
  job.Write();
  RunResult result = job.Run();
  EXPECT_EQ(result.status.code, 2) << result.output;
  EXPECT_NE(result.output.find("learning_rate"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("job.toml:"), std::string::npos) << result.output;
  job.values().erase("train.learning_rat");
  job.values()["data.sources"] = "[\"missing.txt\"]";
  job.Write();
  result = job.Run();
  EXPECT_EQ(result.status.code, 2) << result.output;
  EXPECT_FALSE(Env::Posix()->Exists(job.home() + "/artifacts/tokenizer"));
}

TEST(SmallJobTest, InvalidUtf8IsReplacedOrRefused) {
  SmallJob job("utf8");
  std::string text = *Env::Posix()->ReadFile(job.root() + "/corpus.txt");
  text += "\nbroken \xff\xfe entry\n";
  ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), job.root() + "/corpus.txt", text).ok());
  job.values()["data.invalid_utf8"] = "\"refuse\"";
  job.Write();
  const RunResult refused = job.Run();
  EXPECT_EQ(refused.status.code, 2) << refused.output;
  EXPECT_NE(refused.output.find("corpus.txt"), std::string::npos) << refused.output;
  job.values()["data.invalid_utf8"] = "\"replace\"";
  job.Write();
  const RunResult replaced = job.Run();
  EXPECT_TRUE(replaced.status.ok()) << replaced.output;
}

}  // namespace
}  // namespace halcyon
