// A model trained on latents that its ranks encode, beside one trained on stored ones.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/env.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

using nlohmann::json;

class RecomputeTest : public testing::Test {
 protected:
  RecomputeTest() : job_("recompute") { job_.values()["launch.ranks"] = "2"; }

  json Run(const std::string& latents) {
    job_.values()["data.latents"] = "\"" + latents + "\"";
    job_.Write();
    const RunResult run = job_.Run();
    EXPECT_TRUE(run.status.ok()) << run.output;
    output_ = run.output;
    const auto summary = Env::Posix()->ReadFile(
        job_.home() + "/jobs/" + job_.Status()["job_id"].get<std::string>() + "/summary.json");
    return json::parse(summary.value_or("null"), nullptr, false).value("stages", json::object());
  }

  SmallJob job_;
  std::string output_;
};

TEST_F(RecomputeTest, TrainsTheSameModelWithoutStoringLatents) {
  const json recomputed = Run("recompute");
  EXPECT_FALSE(recomputed.contains("latents"));
  EXPECT_FALSE(Env::Posix()->Exists(job_.home() + "/artifacts/latents"));
  EXPECT_TRUE(recomputed.at("eval").at("facts").contains("brier_lm"));
  const RunResult text = job_.Halcyon({"generate", "--prompt", "word", "--json"});
  EXPECT_TRUE(text.status.ok()) << text.output;
  const RunResult audit = job_.Halcyon({"audit"});
  EXPECT_TRUE(audit.status.ok()) << audit.output;
  const RunResult verify = job_.Halcyon({"cache", "verify-latents"});
  EXPECT_EQ(verify.status.code, 2);
  EXPECT_NE(verify.output.find("the job stores no latents"), std::string::npos) << verify.output;

  const json stored = Run("store");
  EXPECT_EQ(stored.at("autoencoder").at("state"), "reused");
  EXPECT_EQ(stored.at("latents").at("state"), "done");
  EXPECT_EQ(stored.at("model").at("state"), "done");
  const auto loss = [](const json& stages) {
    return stages.at("model").at("facts").at("heldout_loss").get<double>();
  };
  EXPECT_NEAR(loss(recomputed), loss(stored), 0.01 * std::abs(loss(stored)));

  // Either, by the rates that this machine has now.
  const json chosen = Run("auto");
  EXPECT_NE(output_.find("(measured: each of "), std::string::npos) << output_;
  const bool recomputes = output_.find("is \"recompute\" for this job") != std::string::npos;
  EXPECT_EQ(chosen.contains("latents"), !recomputes) << output_;
  EXPECT_EQ(chosen.at("model").at("state"), "reused");
}

TEST_F(RecomputeTest, EachFormatIsACacheOfTheSameAutoencoder) {
  std::string made = "done";
  for (const std::string format : {"bfloat16", "float32"}) {
    job_.values()["data.latent_format"] = "\"" + format + "\"";
    const json stored = Run("store");
    EXPECT_EQ(stored.at("autoencoder").at("state"), made) << format;
    EXPECT_EQ(stored.at("latents").at("state"), "done") << format;
    EXPECT_EQ(stored.at("model").at("state"), "done") << format;
    const RunResult verify = job_.Halcyon({"cache", "verify-latents"});
    EXPECT_TRUE(verify.status.ok()) << verify.output;
    EXPECT_NE(verify.output.find("all equal what is stored"), std::string::npos) << verify.output;
    const json recomputed = Run("recompute");
    EXPECT_EQ(recomputed.at("model").at("state"), "done") << format;
    made = "reused";
  }
}

TEST_F(RecomputeTest, LatentsEncodedInBFloat16AreACacheAndAModelOfTheirOwn) {
  job_.values()["eval.windows"] = job_.values()["eval.final_windows"];
  const json exact = Run("store");
  const std::string exact_latents = job_.ArtifactOf("latents");
  job_.values()["data.encoding_precision"] = "\"bfloat16\"";
  const json stored = Run("store");
  EXPECT_EQ(stored.at("autoencoder").at("state"), "reused");
  EXPECT_EQ(stored.at("latents").at("state"), "done");
  const auto loss = [](const json& stages, const char* stage) {
    return stages.at(stage).at("facts").at("heldout_loss").get<double>();
  };
  EXPECT_NE(loss(stored, "model"), loss(exact, "model"));
  EXPECT_NEAR(loss(stored, "model"), loss(exact, "model"), 0.01 * std::abs(loss(exact, "model")));
  const RunResult verify = job_.Halcyon({"cache", "verify-latents"});
  EXPECT_TRUE(verify.status.ok()) << verify.output;
  EXPECT_NE(verify.output.find("all equal what is stored"), std::string::npos) << verify.output;

  // By the record of the artifact, whatever the job file says now.
  job_.values()["data.encoding_precision"] = "\"float32\"";
  job_.Write();
  const RunResult other = job_.Halcyon({"cache", "verify-latents", "--latents", exact_latents});
  EXPECT_NE(other.output.find("all equal what is stored"), std::string::npos) << other.output;

  job_.values()["data.encoding_precision"] = "\"bfloat16\"";
  const json recomputed = Run("recompute");
  EXPECT_EQ(recomputed.at("model").at("state"), "done");
  EXPECT_NEAR(loss(recomputed, "model"), loss(stored, "model"),
              0.01 * std::abs(loss(stored, "model")));
  // Ranks while training and the evaluation after it score the same windows, encoded alike.
  EXPECT_EQ(loss(recomputed, "eval"), loss(recomputed, "model"));
}

}  // namespace
}  // namespace halcyon
