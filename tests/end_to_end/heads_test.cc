// Jobs with other heads than the energy head, from text to report, in one state folder.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/env.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

using nlohmann::json;

class HeadsTest : public testing::Test {
 protected:
  HeadsTest() : job_("heads") { job_.values()["launch.ranks"] = "2"; }

  // Runs the job with these values on top; "" takes a key away.
  json Run(const std::map<std::string, std::string>& values) {
    for (const auto& [key, value] : values) {
      if (value.empty()) {
        job_.values().erase(key);
      } else {
        job_.values()[key] = value;
      }
    }
    job_.Write();
    const RunResult run = job_.Halcyon({"run", job_.job_file(), "--json"});
    EXPECT_TRUE(run.status.ok()) << run.output;
    const auto summary = Env::Posix()->ReadFile(
        job_.home() + "/jobs/" + job_.Status()["job_id"].get<std::string>() + "/summary.json");
    return json::parse(summary.value_or("null"), nullptr, false).value("stages", json::object());
  }

  SmallJob job_;
};

TEST_F(HeadsTest, EachHeadTrainsIsScoredAndWrites) {
  const json flow = Run({{"model.head", "\"flow\""},
                         {"model.input", "\"both\""},
                         {"model.noise_size", ""},
                         {"model.flow_steps", "3"},
                         {"model.flow_solver", "\"euler\""}});
  EXPECT_EQ(flow.at("model").at("state"), "done");
  EXPECT_TRUE(flow.at("eval").at("facts").contains("brier_lm"));
  EXPECT_FALSE(flow.at("eval").at("facts").at("continuations").empty());

  const json diffusion = Run({{"model.head", "\"diffusion\""},
                              {"model.input", "\"continuous\""},
                              {"model.flow_steps", ""},
                              {"model.flow_solver", ""},
                              {"model.document_mask", "true"},
                              {"model.diffusion_steps", "4"}});
  EXPECT_EQ(diffusion.at("latents").at("state"), "reused");
  EXPECT_EQ(diffusion.at("model").at("state"), "done");
  EXPECT_GT(diffusion.at("model").at("facts").at("noise").get<double>(), 0);
  EXPECT_TRUE(diffusion.at("eval").at("facts").contains("brier_lm"));

  const json softmax = Run({{"model.head", "\"softmax\""},
                            {"model.input", ""},
                            {"model.diffusion_steps", ""},
                            {"model.head_layers", ""},
                            {"model.samples", ""}});
  EXPECT_EQ(softmax.size(), 4u) << "no autoencoder and no latents";
  EXPECT_EQ(softmax.at("tokens").at("state"), "reused");
  EXPECT_TRUE(softmax.at("eval").at("facts").contains("brier_lm"));
  EXPECT_FALSE(softmax.at("eval").at("facts").at("continuations").empty());
  const RunResult text =
      job_.Halcyon({"generate", "--prompt", "word", "--temperature", "0.7", "--json"});
  EXPECT_TRUE(text.status.ok()) << text.output;
}

TEST_F(HeadsTest, AutoencoderAndLanguageModelReadDifferentText) {
  const json stages = Run({{"autoencoder.data_fraction", "0.5"},
                           {"model.skip_autoencoder_data", "true"},
                           {"autoencoder.preset", "\"plain-10\""},
                           {"autoencoder.latent_size", ""}});
  EXPECT_EQ(stages.at("model").at("state"), "done");
  job_.values()["data.shard_bytes"] = "10000000";
  job_.Write();
  const RunResult one_shard = job_.Run();
  EXPECT_FALSE(one_shard.status.ok());
  EXPECT_NE(one_shard.output.find("lower autoencoder.data_fraction or data.shard_bytes"),
            std::string::npos)
      << one_shard.output;
}

}  // namespace
}  // namespace halcyon
