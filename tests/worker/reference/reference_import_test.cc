// Imports and exports of published checkpoints: what is kept, and what is refused with which error.
#include "worker/reference/reference_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "pipeline/tokenizer.h"
#include "storage/artifact.h"
#include "storage/weights/safetensors.h"
#include "storage/weights/weights_index.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/reference/published_checkpoint.h"
#include "worker/inputs/artifacts.h"
#include "worker/reference/reference_export.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kArchitectures[] = {"Autoencoder", "EnergyTransformer", "FlowTransformer",
                                          "DiffusionTransformer", "LlamaForCausalLM"};

// All files below a folder with their bytes.
std::map<std::string, std::string> Contents(const std::string& dir) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir)) {
    if (!entry.is_regular_file()) continue;
    contents[std::filesystem::relative(entry.path(), dir)] =
        *Env::Posix()->ReadFile(entry.path().string());
  }
  return contents;
}

class ReferenceImportTest : public ::testing::Test {
 protected:
  Env& env_ = *Env::Posix();
  testing::TempDir dir_;
  int imports_ = 0;

  std::string Path(const std::string& name) { return dir_.Path(name); }

  void EditConfig(const std::string& folder, const std::function<void(json&)>& edit) {
    const std::string path = Path(folder) + "/config.json";
    json config = json::parse(*env_.ReadFile(path));
    edit(config);
    ASSERT_TRUE(WriteFileAtomically(env_, path, config.dump()).ok());
  }

  absl::Status Import(const std::string& from, const std::string& ae = "") {
    const std::string to = Path("import-" + std::to_string(imports_++));
    const auto facts = ImportReference(env_, Path(from), ae.empty() ? "" : Path(ae), to);
    EXPECT_EQ(facts.ok(), env_.Exists(to));
    EXPECT_FALSE(env_.Exists(to + ".partial"));
    return facts.status();
  }

  void ExpectRefused(const absl::Status& status, const std::vector<std::string>& reasons) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    for (const std::string& reason : reasons) EXPECT_THAT(MessageOf(status), HasSubstr(reason));
  }
};

TEST_F(ReferenceImportTest, ImportExportImportIsTheIdentity) {
  for (const std::string architecture : kArchitectures) {
    const PublishedCheckpoint published(architecture, {});
    const std::string name = Path(architecture);
    published.WriteTorch(name);
    ASSERT_TRUE(WriteFileAtomically(env_, name + "/tokenizer.json", "{}").ok());
    const auto imported = ImportReference(env_, name, "", name + ".1");
    ASSERT_TRUE(imported.ok()) << imported.status();
    const auto exported = ExportReference(env_, {name + ".1", "", ""}, name + ".out");
    ASSERT_TRUE(exported.ok()) << exported.status();
    ASSERT_TRUE(ImportReference(env_, name + ".out", "", name + ".2").ok());
    EXPECT_EQ(Contents(name + ".1"), Contents(name + ".2"));
    EXPECT_EQ(json::parse(*env_.ReadFile(name + ".out/config.json")), published.config());
    // Every name that the published code would have, aliases included, and no other.
    const auto file = storage::SafetensorsFile::Open(env_, name + ".out/model.safetensors");
    ASSERT_TRUE(file.ok()) << file.status();
    std::set<std::string> expected, found;
    for (const auto& [alias, of] : published.aliases()) expected.insert(alias);
    for (const auto& [tensor, shape] : published.shapes()) {
      expected.insert(tensor);
      EXPECT_EQ((*file)->Find(tensor)->shape, shape) << tensor;
    }
    for (const auto& [tensor, entry] : (*file)->header().tensors) found.insert(tensor);
    EXPECT_EQ(found, expected);
    EXPECT_EQ((*file)->header().metadata.at("format"), "pt");
  }
}

TEST_F(ReferenceImportTest, ShardsWithoutAliasesGiveTheSameAsOneFileWithThem) {
  for (const std::string architecture : kArchitectures) {
    const PublishedCheckpoint published(architecture, {});
    const std::string name = Path(architecture);
    published.WriteTorch(name);
    published.WriteShards(name + ".sharded");
    ASSERT_TRUE(ImportReference(env_, name, "", name + ".1").ok());
    const auto sharded = ImportReference(env_, name + ".sharded", "", name + ".2");
    ASSERT_TRUE(sharded.ok()) << sharded.status();
    EXPECT_EQ(Contents(name + ".1"), Contents(name + ".2"));
  }
}

TEST_F(ReferenceImportTest, WithoutArchitecturesTheTensorsTellTheKind) {
  for (const std::string architecture : kArchitectures) {
    PublishedCheckpoint(architecture, {}).WriteTorch(Path(architecture));
    const auto named = ImportReference(env_, Path(architecture), "", Path(architecture + ".1"));
    // What flow and diffusion models carry in their configs, too.
    EditConfig(architecture, [](json& config) {
      config.erase("architectures");
      config["model_type"] = "energy";
    });
    const auto unnamed = ImportReference(env_, Path(architecture), "", Path(architecture + ".2"));
    ASSERT_TRUE(named.ok() && unnamed.ok()) << named.status() << unnamed.status();
    EXPECT_EQ((*named)["kind"], (*unnamed)["kind"]);
  }
}

TEST_F(ReferenceImportTest, TensorsThatDoNotFitAreNamedTogether) {
  PublishedCheckpoint published("EnergyTransformer", {});
  published.Remove("transformer.norm.weight");
  published.Remove("embed_proj.2.bias");
  published.Add("mlp_generator.extra", {2});
  published.Add("embed_proj.0.bias", {7});
  published.WriteTorch(Path("bad"));
  ExpectRefused(
      Import("bad"),
      {"transformer.norm.weight [24] is missing", "embed_proj.2.bias [24] is missing",
       "embed_proj.0.bias is [7], expected [48]", "mlp_generator.extra [2] is not expected"});
  EditConfig("bad", [](json& config) { config["num_hidden_layers"] = 9; });
  ExpectRefused(Import("bad"), {"is missing", "and 57 more"});
}

TEST_F(ReferenceImportTest, AliasesMustBeEqual) {
  PublishedCheckpoint published("EnergyTransformer", {});
  published.Remove("generative_head.norm_noise.bias");
  published.Add("generative_head.norm_noise.bias", {24});
  published.WriteTorch(Path("bad"));
  ExpectRefused(Import("bad"), {"mlp_generator.norm_noise.bias and generative_head.norm_noise.bias "
                                "are names of one tensor, and differ"});
}

TEST_F(ReferenceImportTest, AnAutoencoderOfItsOwnMustBeTheEmbeddedOne) {
  const PublishedCheckpoint published("FlowTransformer", {});
  published.WriteTorch(Path("model"));
  PublishedCheckpoint alone = published.AutoencoderAlone();
  alone.WriteTorch(Path("same"));
  EXPECT_TRUE(Import("model", "same").ok());
  alone.at("encoder.norm.weight")[0] += 1;
  alone.WriteTorch(Path("other"));
  ExpectRefused(Import("model", "other"), {"tensor encoder.norm.weight differs"});
  PublishedSizes sizes;
  sizes.latent = 7;
  PublishedCheckpoint("Autoencoder", sizes).WriteTorch(Path("larger"));
  ExpectRefused(Import("model", "larger"), {"latent_size = 5, its autoencoder 7"});
  ExpectRefused(Import("same", "same"), {"leave out --ae"});
}

TEST_F(ReferenceImportTest, TheAutoencoderMayComeFromItsFolderAlone) {
  PublishedCheckpoint published("DiffusionTransformer", {});
  published.WriteTorch(Path("whole"));
  published.AutoencoderAlone().WriteShards(Path("ae"));
  const auto shapes = published.shapes();
  for (const auto& [name, shape] : shapes) {
    if (name.starts_with("ae_model.")) published.Remove(name);
  }
  published.Remove("ae_model.decoder.lm_head_weight");
  published.WriteTorch(Path("bare"));
  ExpectRefused(Import("bare"), {"no tensors ae_model.*", "--ae"});
  ASSERT_TRUE(Import("bare", "ae").ok());
  ASSERT_TRUE(Import("whole", "ae").ok());
  EXPECT_EQ(Contents(Path("import-1")), Contents(Path("import-2")));
  // ... or from where ae_path points, when that is a folder.
  EditConfig("bare", [&](json& config) { config["ae_path"] = Path("ae"); });
  EXPECT_TRUE(Import("bare").ok());
}

TEST_F(ReferenceImportTest, WhatTheNetworksDoNotHaveIsRefused) {
  PublishedCheckpoint("EnergyTransformer", {}).WriteTorch(Path("m"));
  const json good = json::parse(*env_.ReadFile(Path("m") + "/config.json"));
  const auto refused = [&](const json& change, const std::string& reason) {
    EditConfig("m", [&](json& config) { (config = good).merge_patch(change); });
    ExpectRefused(Import("m"), {reason});
  };
  refused({{"attention_bias", true}, {"mlp_bias", true}},
          "attention_bias = true is not supported, only false; mlp_bias = true");
  refused({{"hidden_act", "gelu"}}, "hidden_act = \"gelu\" is not supported");
  refused({{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}}, "rope_scaling = {");
  refused({{"rope_parameters", {{"rope_type", "yarn"}}}}, "rope_parameters = {");
  refused({{"head_dim", 8}}, "head_dim = 8 is not supported, only 4");
  refused({{"hidden_size", nullptr}}, "hidden_size is missing");
  refused({{"hidden_size", "24"}}, "hidden_size = \"24\" is no count");
  refused({{"num_attention_heads", -4}}, "num_attention_heads = -4 is no count");
  refused({{"hidden_size", int64_t{1} << 60}}, "model.hidden_size");
  refused({{"num_key_value_heads", 4}}, "does not divide attention_heads");
  refused({{"beta", 2.5}}, "model.alpha");
  refused({{"num_hidden_layers", 0}}, "model.layers");
  EditConfig("m", [&](json& config) {
    config = good;
    config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 77.0}};
    config["head_dim"] = 4;
    config["something"] = {1, 2};
  });
  ASSERT_TRUE(Import("m").ok());
  const auto opened = OpenModel(env_, Path("import-" + std::to_string(imports_ - 1)) + "/model");
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->spec.model.rope_theta, 77.0);

  PublishedSizes odd;
  odd.encoder_layers = 3;
  PublishedCheckpoint("Autoencoder", odd).WriteTorch(Path("odd"));
  ExpectRefused(Import("odd"), {"num_encoder_layers = 3 is odd"});
}

TEST_F(ReferenceImportTest, FoldersAreWrittenWholeOrNotAtAll) {
  PublishedCheckpoint("Autoencoder", {}).WriteTorch(Path("ae"));
  ASSERT_TRUE(env_.CreateDirs(Path("full/of")).ok());
  ExpectRefused(ImportReference(env_, Path("ae"), "", Path("full")).status(), {"not an empty"});
  ASSERT_TRUE(env_.CreateDirs(Path("empty")).ok());
  ASSERT_TRUE(env_.CreateDirs(Path("empty.partial/left")).ok());
  EXPECT_TRUE(ImportReference(env_, Path("ae"), "", Path("empty/")).ok());
  EXPECT_EQ(Contents(Path("empty")).size(), 4u) << "weights, job.toml and record; reference.json";
  EXPECT_TRUE(absl::IsNotFound(ImportReference(env_, Path("no"), "", Path("x")).status()));
}

TEST_F(ReferenceImportTest, ATokenizerOfAnotherKindBecomesATokenizerJson) {
  const std::string data = std::string(HALCYON_SOURCE_DIR) + "/tests/pipeline/data/tokenizers/";
  PublishedCheckpoint("EnergyTransformer", {}).WriteTorch(Path("m"));
  const auto none = ImportReference(env_, Path("m"), "", Path("none"));
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->at("tokenizer").is_null());
  EXPECT_THAT(none->at("left_out").at(0).get<std::string>(), HasSubstr("no tokenizer.model"));

  const std::string model = *env_.ReadFile(data + "sp_bpe.model");
  ASSERT_TRUE(WriteFileAtomically(env_, Path("m/tokenizer.model"), model).ok());
  const auto own = ImportReference(env_, Path("m"), "", Path("own"));
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_EQ(own->at("tokenizer"), Path("m/tokenizer.model"));
  const auto tokenizer = pipeline::Tokenizer::Load(Path("own/tokenizer.json"));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->ToJson(), (*pipeline::Tokenizer::FromBytes(model, "m"))->ToJson());

  const std::string ranks = data + "tiktoken.tiktoken";
  ASSERT_TRUE(WriteFileAtomically(env_, Path("m/tokenizer.model"), *env_.ReadFile(ranks)).ok());
  const auto unsplit = ImportReference(env_, Path("m"), "", Path("unsplit"));
  ASSERT_TRUE(unsplit.ok()) << unsplit.status();
  EXPECT_THAT(unsplit->at("left_out").at(0).get<std::string>(), HasSubstr("give the pattern"));
  const auto import = [&](const std::string& pattern, const std::string& to) {
    return ImportReference(env_, Path("m"), "", Path(to), storage::kShardBytesMax,
                           {ranks, pattern});
  };
  EXPECT_TRUE(import("cl100k_base", "named").ok());
  ExpectRefused(import("", "refused").status(), {"give the pattern"});
  EXPECT_FALSE(env_.Exists(Path("refused")));
}

TEST_F(ReferenceImportTest, WhatIsImportedIsGuardedByItsRecord) {
  PublishedCheckpoint("EnergyTransformer", {}).WriteTorch(Path("m"));
  ASSERT_TRUE(WriteFileAtomically(env_, Path("m/tokenizer.json"), "{}").ok());
  ASSERT_TRUE(ImportReference(env_, Path("m"), "", Path("imp")).ok());
  const std::string weights = Path("imp/autoencoder/model.safetensors");
  const auto record = storage::ReadArtifact(env_, Path("imp/model"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(storage::InputDigestsOf(record->record),
            (std::map<std::string, std::string>{{"autoencoder", *Sha256OfFile(weights)},
                                                {"tokenizer", Sha256::Of("{}")}}));
  EXPECT_TRUE(storage::VerifyArtifact(env_, *record).ok());
  ASSERT_TRUE(OpenAutoencoder(env_, Path("imp/autoencoder")).ok());

  std::string bytes = *env_.ReadFile(weights);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  ASSERT_TRUE(WriteFileAtomically(env_, weights, bytes).ok());
  const absl::Status opened = OpenAutoencoder(env_, Path("imp/autoencoder")).status();
  EXPECT_EQ(opened.code(), absl::StatusCode::kDataLoss) << opened;
  EXPECT_THAT(MessageOf(opened), HasSubstr(weights + ": SHA-256 "));
  EXPECT_THAT(MessageOf(opened), HasSubstr("import the checkpoint again"));
  EXPECT_EQ(ExportReference(env_, {Path("imp"), "", ""}, Path("out")).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(ReferenceImportTest, LargeNetworksAreCutIntoShardsOnBothSides) {
  constexpr uint64_t kShardBytesMax = 2000;
  for (const std::string architecture : kArchitectures) {
    const PublishedCheckpoint published(architecture, {});
    const std::string name = Path(architecture);
    published.WriteTorch(name);
    ASSERT_TRUE(ImportReference(env_, name, "", name + ".whole").ok());
    const auto imported = ImportReference(env_, name, "", name + ".cut", kShardBytesMax);
    ASSERT_TRUE(imported.ok()) << imported.status();
    size_t shards = 0;
    for (const auto& [file, bytes] : Contents(name + ".cut")) {
      EXPECT_FALSE(file.ends_with("model.safetensors")) << file;
      shards += file.ends_with(".safetensors") ? 1 : 0;
    }
    EXPECT_GT(shards, 2u);
    // Exports do not depend on how the artifact is cut, nor imports on how the checkpoint is.
    ASSERT_TRUE(ExportReference(env_, {name + ".whole", "", ""}, name + ".out").ok());
    ASSERT_TRUE(ExportReference(env_, {name + ".cut", "", ""}, name + ".cut-out").ok());
    EXPECT_EQ(Contents(name + ".out"), Contents(name + ".cut-out"));
    const auto exported =
        ExportReference(env_, {name + ".cut", "", ""}, name + ".shards", kShardBytesMax);
    ASSERT_TRUE(exported.ok()) << exported.status();
    EXPECT_TRUE(env_.Exists(name + ".shards/model.safetensors.index.json"));
    const auto again = ImportReference(env_, name + ".shards", "", name + ".again");
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(Contents(name + ".whole"), Contents(name + ".again"));
  }
}

TEST_F(ReferenceImportTest, EveryFileOfAnArtifactInShardsIsGuarded) {
  PublishedCheckpoint("EnergyTransformer", {}).WriteTorch(Path("m"));
  ASSERT_TRUE(ImportReference(env_, Path("m"), "", Path("imp"), 2000).ok());
  const std::string dir = Path("imp/model");
  ASSERT_TRUE(OpenModel(env_, dir).ok());
  const auto record = storage::ReadArtifact(env_, dir);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->record.content_digest, *storage::DigestOfWeights(env_, dir));
  const auto contents = Contents(dir);
  const auto expect_refused = [&](const std::string& reason) {
    const absl::Status opened = OpenModel(env_, dir).status();
    EXPECT_EQ(opened.code(), absl::StatusCode::kDataLoss) << reason << opened;
    EXPECT_THAT(MessageOf(opened), HasSubstr(reason));
    EXPECT_FALSE(storage::VerifyArtifact(env_, *record).ok());
  };
  for (const auto& [name, bytes] : contents) {
    if (name == "artifact.json") continue;
    std::string damaged = bytes;
    damaged[bytes.size() / 2] = static_cast<char>(damaged[bytes.size() / 2] ^ 1);
    ASSERT_TRUE(WriteFileAtomically(env_, JoinPath(dir, name), damaged).ok());
    expect_refused(JoinPath(dir, name) + ": SHA-256 ");
    ASSERT_TRUE(env_.RemoveFile(JoinPath(dir, name)).ok());
    expect_refused(JoinPath(dir, name) + ": is missing");
    ASSERT_TRUE(WriteFileAtomically(env_, JoinPath(dir, name), bytes).ok());
  }
  ASSERT_TRUE(OpenModel(env_, dir).ok());
  // It would be read in place of the shards.
  ASSERT_TRUE(WriteFileAtomically(env_, JoinPath(dir, "model.safetensors"), "x").ok());
  EXPECT_THAT(MessageOf(OpenModel(env_, dir).status()), HasSubstr("records no model.safetensors"));
}

// An artifact of training has a mask embedding and no config.json.
TEST_F(ReferenceImportTest, TrainedArtifactsBecomeCheckpoints) {
  const PublishedCheckpoint published("EnergyTransformer", {});
  published.WriteTorch(Path("m"));
  ASSERT_TRUE(ImportReference(env_, Path("m"), "", Path("trained")).ok());
  const std::string ae = Path("trained/autoencoder");
  std::string toml = *env_.ReadFile(ae + "/job.toml");
  toml.replace(toml.find("\"zero_id\""), 9, "\"mask\"");
  ASSERT_TRUE(WriteFileAtomically(env_, ae + "/job.toml", toml).ok());
  // Without its record an edited folder is accepted.
  ASSERT_TRUE(env_.RemoveFile(ae + "/artifact.json").ok());
  ExpectRefused(ExportReference(env_, {Path("trained/model"), "", ""}, Path("out")).status(),
                {"--ae"});
  const auto facts = ExportReference(env_, {Path("trained/model"), ae, ""}, Path("out"));
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_THAT((*facts)["left_out"].dump(), HasSubstr("mask_embedding"));
  const json config = json::parse(*env_.ReadFile(Path("out/config.json")));
  EXPECT_EQ(config["ae_path"], Path("out/autoencoder"));
  const json original = published.config();
  for (const auto& [key, value] : original.items()) {
    if (key == "ae_path" || key == "bos_token_id") continue;
    EXPECT_EQ(config[key], value) << key;
  }
  ASSERT_TRUE(ImportReference(env_, Path("out"), "", Path("again")).ok());
  EXPECT_EQ(Contents(Path("again/model")), Contents(Path("trained/model")));

  std::string model_toml = *env_.ReadFile(Path("trained/model/job.toml"));
  model_toml.replace(model_toml.find("\"discrete\""), 10, "\"both\"");
  ASSERT_TRUE(WriteFileAtomically(env_, Path("trained/model/job.toml"), model_toml).ok());
  ASSERT_TRUE(env_.RemoveFile(Path("trained/model/artifact.json")).ok());
  ExpectRefused(ExportReference(env_, {Path("trained/model"), ae, ""}, Path("out2")).status(),
                {"model.input is not \"discrete\""});
}

}  // namespace
}  // namespace halcyon::worker
