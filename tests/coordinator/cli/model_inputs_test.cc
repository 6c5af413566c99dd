#include "coordinator/cli/model_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "storage/home.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

using ::testing::HasSubstr;
using Code = absl::StatusCode;
using Digests = std::map<std::string, std::string>;

const std::vector<std::string> kGenerate = {"tokenizer", "autoencoder", "model"};
const std::vector<std::string> kEval = {"tokenizer", "tokens", "autoencoder", "latents", "model"};

// A state folder with the artifacts of two jobs, "a" and "b", and whatever a test adds.
class ModelInputsTest : public ::testing::Test {
 protected:
  ModelInputsTest() {
    for (const std::string job : {"a", "b"}) {
      Add(job, "tokenizer", {});
      Add(job, "tokens", {"tokenizer"});
      Add(job, "autoencoder", {"tokens"});
      Add(job, "latents", {"tokens", "autoencoder"});
      Add(job, "model", {"tokens", "latents"});
    }
  }
  void Add(const std::string& job, const std::string& stage,
           const std::vector<std::string>& made_from) {
    Digests inputs;
    for (const std::string& input : made_from) inputs[input] = job + "-" + input;
    storage::Artifact artifact = Record(stage, job + "-" + stage, inputs);
    const std::string dir = home_.Artifact(stage, artifact.record.fingerprint);
    Write(dir, artifact);
    places_[job + "-" + stage] = dir;
  }
  static storage::Artifact Record(const std::string& stage, const std::string& digest,
                                  const Digests& inputs) {
    storage::Artifact artifact;
    artifact.record.kind = *jobs::StageFromName(stage);
    artifact.record.content_digest = digest;
    artifact.record.fields = {{"content", digest}};
    for (const auto& [input, of] : inputs) artifact.record.fields.push_back({"input." + input, of});
    artifact.record.fingerprint =
        jobs::StageIdentity{artifact.record.kind, artifact.record.fields}.Fingerprint();
    return artifact;
  }
  void Write(const std::string& dir, const storage::Artifact& artifact) {
    ASSERT_TRUE(env_.CreateDirs(dir).ok());
    ASSERT_TRUE(
        WriteFileAtomically(env_, JoinPath(dir, "artifact.json"), storage::ArtifactToText(artifact))
            .ok());
  }

  // The inputs of a command whose options name these.
  absl::StatusOr<ModelInputs> Choose(const std::vector<std::string>& stages,
                                     const std::map<std::string, std::string>& given) {
    ModelInputs inputs;
    for (const auto& [stage, dir] : given) {
      ASSIGN_OR_RETURN(inputs[stage], ReadModelInput(env_, stage, dir));
    }
    ASSIGN_OR_RETURN(const storage::ArtifactScan scan, storage::ScanArtifacts(env_, home_));
    RETURN_IF_ERROR(CompleteInputs(env_, scan, stages, &inputs));
    RETURN_IF_ERROR(CheckBelongTogether(scan, inputs));
    return inputs;
  }

  Env& env_ = *Env::Posix();
  testing::TempDir dir_;
  storage::HomeLayout home_{dir_.Path("home")};
  std::map<std::string, std::string> places_;  // by content digest
};

TEST_F(ModelInputsTest, AModelsRecordLeadsToAllThatItNeeds) {
  for (const std::string job : {"a", "b"}) {
    const auto inputs = Choose(kEval, {{"model", places_[job + "-model"]}});
    ASSERT_TRUE(inputs.ok()) << inputs.status();
    ASSERT_EQ(inputs->size(), kEval.size());
    for (const auto& [stage, input] : *inputs) EXPECT_EQ(input.dir, places_[job + "-" + stage]);
  }
}

TEST_F(ModelInputsTest, AnAutoencoderAloneIsJudgedWithItsText) {
  const auto inputs = Choose(kEval, {{"autoencoder", places_["b-autoencoder"]}});
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_EQ(inputs->size(), 3u);
  EXPECT_EQ(inputs->at("tokens").dir, places_["b-tokens"]);
  EXPECT_EQ(inputs->at("tokenizer").dir, places_["b-tokenizer"]);
}

TEST_F(ModelInputsTest, WhatDoesNotBelongTogetherIsRefusedByContent) {
  for (const std::string stage : {"autoencoder", "tokenizer"}) {
    const auto mixed =
        Choose(kGenerate, {{"model", places_["a-model"]}, {stage, places_["b-" + stage]}});
    EXPECT_EQ(mixed.status().code(), Code::kInvalidArgument) << mixed.status();
    for (const std::string& part : {places_["a-model"], places_["b-" + stage], "--" + stage}) {
      EXPECT_THAT(MessageOf(mixed.status()), HasSubstr(part));
    }
  }
  const auto latents =
      Choose(kEval, {{"model", places_["a-model"]}, {"latents", places_["b-latents"]}});
  EXPECT_EQ(latents.status().code(), Code::kInvalidArgument) << latents.status();
}

TEST_F(ModelInputsTest, AModelMayBeJudgedOnOtherText) {
  Write(dir_.Path("tokens"), Record("tokens", "new-tokens", {{"tokenizer", "a-tokenizer"}}));
  Write(dir_.Path("latents"), Record("latents", "new-latents",
                                     {{"tokens", "new-tokens"}, {"autoencoder", "a-autoencoder"}}));
  const auto inputs = Choose(kEval, {{"model", places_["a-model"]},
                                     {"tokens", dir_.Path("tokens")},
                                     {"latents", dir_.Path("latents")}});
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_EQ(inputs->at("tokens").dir, dir_.Path("tokens"));
  EXPECT_EQ(inputs->at("autoencoder").dir, places_["a-autoencoder"]);
  const auto without =
      Choose(kEval, {{"model", places_["a-model"]}, {"tokens", dir_.Path("tokens")}});
  EXPECT_EQ(without.status().code(), Code::kInvalidArgument) << "latents of the other text";
}

TEST_F(ModelInputsTest, AMissingArtifactIsNamed) {
  ASSERT_TRUE(env_.RemoveTree(places_["a-autoencoder"]).ok());
  const auto inputs = Choose(kGenerate, {{"model", places_["a-model"]}});
  EXPECT_EQ(inputs.status().code(), Code::kNotFound) << inputs.status();
  EXPECT_THAT(MessageOf(inputs.status()), HasSubstr("the autoencoder of content digest a-autoenc"));
}

// As `checkpoint import` leaves them: side by side, the tokenizer above.
TEST_F(ModelInputsTest, AnImportsPartsAreFoundBesideEachOther) {
  const std::string tokenizer = "{\"of\": \"the import\"}";
  const Digests below = {{"tokenizer", Sha256::Of(tokenizer)}};
  Write(dir_.Path("imp/autoencoder"), Record("autoencoder", "imported-ae", below));
  Digests of_model = below;
  of_model["autoencoder"] = "imported-ae";
  Write(dir_.Path("imp/model"), Record("model", "imported-lm", of_model));
  ASSERT_TRUE(WriteFileAtomically(env_, dir_.Path("imp/tokenizer.json"), tokenizer).ok());
  const auto inputs = Choose(kGenerate, {{"model", dir_.Path("imp/model")}});
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_EQ(inputs->at("autoencoder").dir, dir_.Path("imp/autoencoder"));
  EXPECT_EQ(inputs->at("tokenizer").dir, dir_.Path("imp"));
  ASSERT_TRUE(WriteFileAtomically(env_, dir_.Path("imp/tokenizer.json"), tokenizer + " ").ok());
  EXPECT_EQ(Choose(kGenerate, {{"model", dir_.Path("imp/model")}}).status().code(),
            Code::kNotFound);
  const auto named =
      Choose(kGenerate, {{"model", dir_.Path("imp/model")}, {"tokenizer", dir_.Path("imp")}});
  EXPECT_EQ(named.status().code(), Code::kInvalidArgument) << named.status();
}

TEST_F(ModelInputsTest, AFolderWithoutRecordIsTakenByTheBytesOfItsFile) {
  ASSERT_TRUE(env_.CreateDirs(dir_.Path("bare")).ok());
  ASSERT_TRUE(WriteFileAtomically(env_, dir_.Path("bare/model.safetensors"), "w").ok());
  const auto bare = ReadModelInput(env_, "model", dir_.Path("bare"));
  ASSERT_TRUE(bare.ok()) << bare.status();
  EXPECT_EQ(bare->content_digest, Sha256::Of("w"));
  EXPECT_FALSE(bare->has_record);
  EXPECT_EQ(Choose(kGenerate, {{"model", dir_.Path("bare")}})->size(), 1u);
}

TEST_F(ModelInputsTest, ShardsWithoutRecordAreTakenByTheirBytes) {
  ASSERT_TRUE(env_.CreateDirs(dir_.Path("bare")).ok());
  const auto write = [&](const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(WriteFileAtomically(env_, dir_.Path("bare/" + name), bytes).ok());
  };
  write("1.safetensors", "w");
  write("2.safetensors", "v");
  write("model.safetensors.index.json",
        R"({"weight_map":{"a":"2.safetensors","b":"1.safetensors"}})");
  const auto bare = ReadModelInput(env_, "model", dir_.Path("bare"));
  ASSERT_TRUE(bare.ok()) << bare.status();
  EXPECT_EQ(bare->content_digest, Sha256::Of(Sha256::Of("w") + "  1.safetensors\n" +
                                             Sha256::Of("v") + "  2.safetensors\n"));
}

TEST_F(ModelInputsTest, AFolderOfAnotherStageOrOfNoneIsNamed) {
  const auto other = ReadModelInput(env_, "model", places_["a-tokens"]);
  EXPECT_THAT(MessageOf(other.status()), HasSubstr("an artifact of the tokens stage"));
  const auto none = ReadModelInput(env_, "autoencoder", dir_.Path("none"));
  EXPECT_EQ(none.status().code(), Code::kInvalidArgument) << none.status();
}

// A job writes its own tokenizer.json, whose digest is not that of the file it was made from.
TEST_F(ModelInputsTest, ATokenizersFileStandsForWhatAJobMadeOfIt) {
  const std::string file = dir_.Path("tokenizer.model");
  ASSERT_TRUE(WriteFileAtomically(env_, file, "pieces").ok());
  for (const std::string pattern : {"gpt2", "llama3"}) {
    storage::Artifact artifact = Record("tokenizer", pattern + "-tokenizer", {});
    artifact.record.fields = {{"tokenizer.file.sha256", Sha256::Of("pieces")},
                              {"tokenizer.pattern", pattern}};
    artifact.record.fingerprint =
        jobs::StageIdentity{artifact.record.kind, artifact.record.fields}.Fingerprint();
    Write(home_.Artifact("tokenizer", artifact.record.fingerprint), artifact);
  }
  const storage::ArtifactScan scan = *storage::ScanArtifacts(env_, home_);
  for (const std::string pattern : {"gpt2", "llama3"}) {
    const ModelInputs model = {
        {"model", {"/m", "m", {{"tokenizer", pattern + "-tokenizer"}}, true}}};
    const auto found = ReadTokenizerInput(env_, scan, file, model);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->content_digest, pattern + "-tokenizer");
  }
  ASSERT_TRUE(WriteFileAtomically(env_, file, "others").ok());
  const absl::Status unknown = ReadTokenizerInput(env_, scan, file, {}).status();
  EXPECT_EQ(unknown.code(), Code::kInvalidArgument);
  EXPECT_THAT(MessageOf(unknown), HasSubstr("tokenizer.model: no tokenizer in the state folder was "
                                            "made from this file; leave --tokenizer out"));
}

// With the pattern of its job it is another tokenizer than the file's own.
TEST_F(ModelInputsTest, ATokenizerJsonIsTakenAsItIsUnlessTheModelNeedsWhatAJobMadeOfIt) {
  const std::string file = dir_.Path("tokenizer.json"), own = Sha256::Of("{}");
  ASSERT_TRUE(WriteFileAtomically(env_, file, "{}").ok());
  storage::Artifact artifact = Record("tokenizer", "of-the-job", {});
  artifact.record.fields = {{"tokenizer.file.sha256", own}};
  artifact.record.fingerprint =
      jobs::StageIdentity{artifact.record.kind, artifact.record.fields}.Fingerprint();
  Write(home_.Artifact("tokenizer", artifact.record.fingerprint), artifact);
  const storage::ArtifactScan scan = *storage::ScanArtifacts(env_, home_);
  for (const std::string& needed : {own, std::string("of-the-job")}) {
    const ModelInputs model = {{"model", {"/m", "m", {{"tokenizer", needed}}, true}}};
    for (const std::string& given : {file, DirName(file)}) {
      EXPECT_EQ(ReadTokenizerInput(env_, scan, given, model)->content_digest, needed);
    }
  }
  EXPECT_EQ(ReadTokenizerInput(env_, scan, file, {})->content_digest, own);
}

}  // namespace
}  // namespace halcyon::coordinator
