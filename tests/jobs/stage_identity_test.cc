#include "jobs/stage_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/digest.h"
#include "tests/jobs/documented_keys.h"

namespace halcyon::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Kinds = std::set<StageKind>;

JobSpec Base() {
  JobSpec spec;
  spec.name = "base";
  spec.data.sources = {"/texts/a.txt", "/texts/b.txt"};
  return spec;
}

std::map<StageKind, std::string> Inputs(const std::string& suffix = "") {
  std::map<StageKind, std::string> digests;
  for (const StageKind kind : kAllStages) {
    digests[kind] = "digest of " + std::string(StageName(kind)) + suffix;
  }
  return digests;
}

StageIdentity Identity(StageKind kind, const JobSpec& spec) {
  std::vector<std::string> sources = {"aa", "bb", "dd"};
  sources.resize(spec.data.Files().size());
  return IdentityOf(kind, spec, sources, Inputs(), "cc");
}

// The stages whose own fingerprints differ, with equal input artifacts.
Kinds Changed(const JobSpec& a, const JobSpec& b) {
  Kinds changed;
  for (const StageKind kind : kAllStages) {
    if (Identity(kind, a).Fingerprint() != Identity(kind, b).Fingerprint()) changed.insert(kind);
  }
  return changed;
}

constexpr auto kTokenizer = StageKind::kTokenizer;
constexpr auto kTokens = StageKind::kTokens;
constexpr auto kAutoencoder = StageKind::kAutoencoder;
constexpr auto kLatents = StageKind::kLatents;
constexpr auto kModel = StageKind::kModel;
constexpr auto kEval = StageKind::kEval;

struct KeyCase {
  std::string path;
  std::function<void(JobSpec&)> change;
  Kinds changed;
};

std::vector<KeyCase> TrainCases(const std::string& section, TrainSpec JobSpec::*direct,
                                StageKind stage) {
  const auto in = [direct](auto change) {
    return [direct, change](JobSpec& s) {
      change(direct == nullptr ? s.autoencoder.train : s.*direct);
    };
  };
  return {
      {section + ".steps", in([](TrainSpec& t) { t.steps = 7; }), {stage}},
      {section + ".batch", in([](TrainSpec& t) { t.batch = 7; }), {stage}},
      {section + ".micro_batch", in([](TrainSpec& t) { t.micro_batch = 2; }), {}},
      {section + ".learning_rate", in([](TrainSpec& t) { t.learning_rate = 0.5; }), {stage}},
      {section + ".warmup_steps", in([](TrainSpec& t) { t.warmup_steps = 7; }), {stage}},
      {section + ".decay", in([](TrainSpec& t) { t.decay = LearningRateDecay::kLinear; }), {stage}},
      {section + ".final_learning_rate_ratio",
       in([](TrainSpec& t) { t.final_learning_rate_ratio = 0.5; }),
       {stage}},
      {section + ".beta1", in([](TrainSpec& t) { t.beta1 = 0.5; }), {stage}},
      {section + ".beta2", in([](TrainSpec& t) { t.beta2 = 0.5; }), {stage}},
      {section + ".epsilon", in([](TrainSpec& t) { t.epsilon = 0.5; }), {stage}},
      {section + ".weight_decay", in([](TrainSpec& t) { t.weight_decay = 0.5; }), {stage}},
      {section + ".clip_norm", in([](TrainSpec& t) { t.clip_norm = 0.5; }), {stage}},
      {section + ".precision",
       in([](TrainSpec& t) { t.precision = Precision::kBFloat16; }),
       {stage}},
  };
}

const Kinds kText = {kTokenizer, kTokens};

std::vector<KeyCase> DataCases() {
  return {
      {"name", [](JobSpec& s) { s.name = "other"; }, {}},
      {"seed", [](JobSpec& s) { s.seed = 2; }, {kAutoencoder, kModel, kEval}},
      {"data.heldout_sources",
       [](JobSpec& s) { s.data.heldout_sources = {"/texts/h.txt"}; },
       {kTokenizer, kTokens, kEval}},
      {"data.sources", [](JobSpec& s) { s.data.sources[0] = "/elsewhere/a.txt"; }, {}},
      {"data.format", [](JobSpec& s) { s.data.format = DataFormat::kJsonl; }, kText},
      {"data.documents", [](JobSpec& s) { s.data.documents = DocumentRule::kLines; }, kText},
      {"data.field", [](JobSpec& s) { s.data.field = "body"; }, kText},
      {"data.heldout", [](JobSpec& s) { s.data.heldout = 0.5; }, kText},
      {"data.invalid_utf8", [](JobSpec& s) { s.data.invalid_utf8 = InvalidUtf8::kRefuse; }, kText},
      {"data.bad_documents", [](JobSpec& s) { s.data.bad_documents = BadDocuments::kSkip; }, kText},
      {"data.token_type", [](JobSpec& s) { s.data.token_type = TokenType::kUint16; }, kText},
      {"data.end_of_document", [](JobSpec& s) { s.data.end_of_document = 7; }, kText},
      {"data.shard_bytes", [](JobSpec& s) { s.data.shard_bytes = 9; }, kText},
      {"data.latents",
       [](JobSpec& s) { s.data.latents = LatentsRule::kRecompute; },
       {kModel, kEval}},
      {"data.latent_format",
       [](JobSpec& s) { s.data.latent_format = LatentFormat::kBFloat16; },
       {kLatents}},
      {"data.encoding_precision",
       [](JobSpec& s) { s.data.encoding_precision = Precision::kBFloat16; },
       {kLatents}},
      // An imported tokenizer depends on its file and no longer on the sources.
      {"tokenizer.path", [](JobSpec& s) { s.tokenizer.path = "/t.json"; }, {kTokenizer}},
      {"tokenizer.vocab_size", [](JobSpec& s) { s.tokenizer.vocab_size = 777; }, {kTokenizer}},
      {"tokenizer.pattern", [](JobSpec& s) { s.tokenizer.pattern = "o200k"; }, {kTokenizer}},
      {"tokenizer.train_bytes_max",
       [](JobSpec& s) { s.tokenizer.train_bytes_max = 9; },
       {kTokenizer}},
      {"tokenizer.words_bytes_max",
       [](JobSpec& s) { s.tokenizer.words_bytes_max = 1 << 20; },
       {kTokenizer}},
  };
}

std::vector<KeyCase> AutoencoderCases() {
  const Kinds one = {kAutoencoder};
  return {
      {"autoencoder.chunk_size",
       [](JobSpec& s) { s.autoencoder.chunk_size = 2; },
       {kAutoencoder, kLatents, kModel}},
      {"autoencoder.latent_size", [](JobSpec& s) { s.autoencoder.latent_size = 9; }, one},
      {"autoencoder.hidden_size", [](JobSpec& s) { s.autoencoder.hidden_size = 9; }, one},
      {"autoencoder.intermediate_size", [](JobSpec& s) { s.autoencoder.intermediate_size = 9; },
       one},
      {"autoencoder.encoder_layers", [](JobSpec& s) { s.autoencoder.encoder_layers = 9; }, one},
      {"autoencoder.decoder_layers", [](JobSpec& s) { s.autoencoder.decoder_layers = 9; }, one},
      {"autoencoder.preset",
       [](JobSpec& s) { s.autoencoder.preset = AutoencoderPreset::kPlain10; },
       {}},
      {"autoencoder.norm_epsilon", [](JobSpec& s) { s.autoencoder.norm_epsilon = 1e-5; }, one},
      {"autoencoder.variational", [](JobSpec& s) { s.autoencoder.variational = false; }, one},
      {"autoencoder.data_fraction",
       [](JobSpec& s) { s.autoencoder.data_fraction = 0.5; },
       {kAutoencoder, kModel}},
      {"autoencoder.token_dropout_rule",
       [](JobSpec& s) { s.autoencoder.token_dropout_rule = TokenDropoutRule::kZeroId; }, one},
      {"autoencoder.token_dropout", [](JobSpec& s) { s.autoencoder.token_dropout = 0.5; }, one},
      {"autoencoder.latent_dropout", [](JobSpec& s) { s.autoencoder.latent_dropout = 0.5; }, one},
      {"autoencoder.kl_weight", [](JobSpec& s) { s.autoencoder.kl_weight = 0.5; }, one},
      {"autoencoder.kl_clamp", [](JobSpec& s) { s.autoencoder.kl_clamp = 0.25; }, one},
      {"autoencoder.init", [](JobSpec& s) { s.autoencoder.init = InitRule::kNormal; }, one},
      {"autoencoder.init_std", [](JobSpec& s) { s.autoencoder.init_std = 0.25; }, one},
  };
}

std::vector<KeyCase> ModelCases() {
  const Kinds one = {kModel};
  return {
      {"model.preset", [](JobSpec& s) { s.model.preset = ModelPreset::kCalmS; }, {}},
      {"model.head", [](JobSpec& s) { s.model.head = HeadKind::kFlow; }, one},
      {"model.input", [](JobSpec& s) { s.model.input = InputKind::kBoth; }, one},
      {"model.key_value_heads", [](JobSpec& s) { s.model.key_value_heads = 4; }, one},
      {"model.norm_epsilon", [](JobSpec& s) { s.model.norm_epsilon = 1e-5; }, one},
      {"model.tie_embeddings", [](JobSpec& s) { s.model.tie_embeddings = true; }, one},
      {"model.document_mask", [](JobSpec& s) { s.model.document_mask = true; }, one},
      {"model.flow_solver", [](JobSpec& s) { s.model.flow_solver = FlowSolver::kEuler; }, one},
      {"model.flow_steps", [](JobSpec& s) { s.model.flow_steps = 9; }, one},
      {"model.diffusion_steps", [](JobSpec& s) { s.model.diffusion_steps = 9; }, one},
      {"model.skip_autoencoder_data", [](JobSpec& s) { s.model.skip_autoencoder_data = true; },
       one},
      {"model.hidden_size", [](JobSpec& s) { s.model.hidden_size = 32; }, one},
      {"model.intermediate_size", [](JobSpec& s) { s.model.intermediate_size = 9; }, one},
      {"model.layers", [](JobSpec& s) { s.model.layers = 9; }, one},
      {"model.attention_heads", [](JobSpec& s) { s.model.attention_heads = 8; }, one},
      {"model.head_layers", [](JobSpec& s) { s.model.head_layers = 9; }, one},
      {"model.noise_size", [](JobSpec& s) { s.model.noise_size = 9; }, one},
      {"model.window_chunks", [](JobSpec& s) { s.model.window_chunks = 9; }, one},
      {"model.rope_theta", [](JobSpec& s) { s.model.rope_theta = 9; }, one},
      {"model.alpha", [](JobSpec& s) { s.model.alpha = 1.5; }, one},
      {"model.samples", [](JobSpec& s) { s.model.samples = 9; }, one},
      {"model.target", [](JobSpec& s) { s.model.target = EnergyTarget::kSamples; }, one},
      {"model.target_samples", [](JobSpec& s) { s.model.target_samples = 9; }, one},
      {"model.init", [](JobSpec& s) { s.model.init = InitRule::kNormal; }, one},
      {"model.init_std", [](JobSpec& s) { s.model.init_std = 0.25; }, one},
  };
}

std::vector<KeyCase> RunCases() {
  const Kinds none, one = {kEval};
  return {
      {"checkpoint.every", [](JobSpec& s) { s.checkpoint.every = 9; }, none},
      {"checkpoint.keep", [](JobSpec& s) { s.checkpoint.keep = 9; }, none},
      {"eval.every", [](JobSpec& s) { s.eval.every = 9; }, none},
      {"eval.windows", [](JobSpec& s) { s.eval.windows = 9; }, none},
      {"eval.final_windows", [](JobSpec& s) { s.eval.final_windows = 9; }, one},
      {"eval.samples", [](JobSpec& s) { s.eval.samples = 9; }, one},
      {"eval.bootstrap", [](JobSpec& s) { s.eval.bootstrap = 90; }, one},
      {"eval.continuations", [](JobSpec& s) { s.eval.continuations = 9; }, one},
      {"eval.prompt_chunks", [](JobSpec& s) { s.eval.prompt_chunks = 9; }, one},
      {"eval.continuation_chunks", [](JobSpec& s) { s.eval.continuation_chunks = 9; }, one},
      {"eval.temperature", [](JobSpec& s) { s.eval.temperature = 1; }, one},
      {"eval.temperature_samples", [](JobSpec& s) { s.eval.temperature_samples = 9; }, one},
      {"launch.ranks", [](JobSpec& s) { s.launch.ranks = 9; }, none},
      {"launch.threads", [](JobSpec& s) { s.launch.threads = 9; }, none},
      {"launch.device", [](JobSpec& s) { s.launch.device = DeviceChoice::kCuda; }, none},
      {"launch.arithmetic", [](JobSpec& s) { s.launch.arithmetic = Arithmetic::kPortable; }, none},
      {"launch.agents", [](JobSpec& s) { s.launch.agents = 9; }, none},
      {"launch.restarts_max", [](JobSpec& s) { s.launch.restarts_max = 9; }, none},
      {"launch.ranks_min", [](JobSpec& s) { s.launch.ranks_min = 1; }, none},
      {"launch.hang_floor_s", [](JobSpec& s) { s.launch.hang_floor_s = 9; }, none},
      {"launch.hang_factor", [](JobSpec& s) { s.launch.hang_factor = 9; }, none},
      {"launch.orphan_grace_s", [](JobSpec& s) { s.launch.orphan_grace_s = 9; }, none},
      {"launch.sharding", [](JobSpec& s) { s.launch.sharding = Sharding::kNone; }, none},
      {"launch.accumulate", [](JobSpec& s) { s.launch.accumulate = Accumulate::kLocal; }, none},
      {"launch.copy_caches_to", [](JobSpec& s) { s.launch.copy_caches_to = "/local"; }, none},
      {"launch.recompute", [](JobSpec& s) { s.launch.recompute = 9; }, none},
      {"launch.launcher", [](JobSpec& s) { s.launch.placement.launcher = LauncherKind::kSrun; },
       none},
      {"launch.hosts", [](JobSpec& s) { s.launch.placement.hosts = {"n1"}; }, none},
      {"launch.hostfile", [](JobSpec& s) { s.launch.placement.hostfile = "/hosts"; }, none},
      {"launch.coordinator_address",
       [](JobSpec& s) { s.launch.placement.coordinator_address = "10.0.0.1"; }, none},
      {"launch.interfaces", [](JobSpec& s) { s.launch.placement.interfaces = "eth0"; }, none},
      {"launch.transports", [](JobSpec& s) { s.launch.placement.transports = "tcp,self"; }, none},
      {"launch.bind", [](JobSpec& s) { s.launch.placement.bind = Binding::kCore; }, none},
      {"launch.rsh_agent", [](JobSpec& s) { s.launch.placement.rsh_agent = "rsh"; }, none},
  };
}

std::vector<KeyCase> SubmitCases() {
  return {
      {"launch.stop_grace_s", [](JobSpec& s) { s.launch.stop_grace_s = 9; }, {}},
      {"launch.stop_margin_s", [](JobSpec& s) { s.launch.stop_margin_s = 9; }, {}},
      {"launch.slurm.partition", [](JobSpec& s) { s.launch.slurm.partition = "p"; }, {}},
      {"launch.slurm.account", [](JobSpec& s) { s.launch.slurm.account = "a"; }, {}},
      {"launch.slurm.qos", [](JobSpec& s) { s.launch.slurm.qos = "q"; }, {}},
      {"launch.slurm.time", [](JobSpec& s) { s.launch.slurm.time = "9"; }, {}},
      {"launch.slurm.nodes", [](JobSpec& s) { s.launch.slurm.nodes = 9; }, {}},
      {"launch.slurm.ntasks_per_node", [](JobSpec& s) { s.launch.slurm.ntasks_per_node = 9; }, {}},
      {"launch.slurm.cpus_per_task", [](JobSpec& s) { s.launch.slurm.cpus_per_task = 9; }, {}},
      {"launch.slurm.gres", [](JobSpec& s) { s.launch.slurm.gres = "gpu:1"; }, {}},
      {"launch.slurm.constraint", [](JobSpec& s) { s.launch.slurm.constraint = "c"; }, {}},
      {"launch.slurm.exclude", [](JobSpec& s) { s.launch.slurm.exclude = "n1"; }, {}},
      {"launch.slurm.container_image",
       [](JobSpec& s) { s.launch.slurm.container_image = "i"; },
       {}},
      {"launch.slurm.requeue", [](JobSpec& s) { s.launch.slurm.requeue = false; }, {}},
      {"launch.slurm.signal_s", [](JobSpec& s) { s.launch.slurm.signal_s = 9; }, {}},
      {"launch.slurm.options", [](JobSpec& s) { s.launch.slurm.options["nice"] = ""; }, {}},
  };
}

std::vector<KeyCase> AllCases() {
  std::vector<KeyCase> all;
  for (const auto& cases :
       {DataCases(), AutoencoderCases(), TrainCases("autoencoder.train", nullptr, kAutoencoder),
        ModelCases(), TrainCases("train", &JobSpec::train, kModel), RunCases(), SubmitCases()}) {
    all.insert(all.end(), cases.begin(), cases.end());
  }
  return all;
}

// "section.key" -> text, from the TOML of a spec.
std::map<std::string, std::string> Leaves(const JobSpec& spec) {
  std::map<std::string, std::string> leaves;
  std::istringstream toml(ToToml(spec));
  std::string section;
  for (std::string line; std::getline(toml, line);) {
    if (line.empty()) continue;
    if (line[0] == '[') {
      section = line.substr(1, line.size() - 2) + ".";
      continue;
    }
    const size_t equals = line.find(" = ");
    leaves[section + line.substr(0, equals)] = line.substr(equals + 3);
  }
  return leaves;
}

TEST(Fingerprint, EveryKeyReMakesExactlyItsStages) {
  for (const KeyCase& key_case : AllCases()) {
    JobSpec changed = Base();
    key_case.change(changed);
    EXPECT_EQ(Changed(Base(), changed), key_case.changed) << key_case.path;
  }
}

TEST(Fingerprint, TheCasesCoverEveryKeyAndChangeWhatTheySay) {
  const auto before = Leaves(Base());
  std::set<std::string> covered, all;
  for (const auto& [path, value] : before) all.insert(path);
  for (const KeyCase& key_case : AllCases()) {
    covered.insert(key_case.path);
    JobSpec changed = Base();
    key_case.change(changed);
    for (const auto& [path, value] : Leaves(changed)) {
      EXPECT_EQ(value != before.at(path), path == key_case.path) << key_case.path << " " << path;
    }
  }
  EXPECT_EQ(covered, all);
}

TEST(Fingerprint, TheDocumentationNamesTheSameStages) {
  auto documented = DocumentedKeys();
  for (const KeyCase& key_case : AllCases()) {
    std::string names;
    for (const StageKind kind : key_case.changed) {
      names += names.empty() ? "" : ", ";
      names += StageName(kind);
    }
    const std::string& cell = documented[key_case.path].remakes;
    EXPECT_EQ(cell.substr(0, cell.find(';')), names.empty() ? "nothing" : names) << key_case.path;
  }
}

// Files of different sources share no shard.
TEST(Fingerprint, WhichFilesAreOfWhichSourceMatters) {
  const auto with = [](std::vector<SourceSpec> source) {
    JobSpec spec = Base();
    spec.data.sources.clear();
    spec.data.source = std::move(source);
    return spec;
  };
  const JobSpec two = with({{"a", {"/texts/a.txt"}, 1}, {"b", {"/texts/b.txt"}, 1}});
  EXPECT_EQ(Changed(Base(), two), (Kinds{kTokens, kModel, kEval}));
  const JobSpec one = with({{"a", {"/texts/a.txt", "/texts/b.txt"}, 1}});
  EXPECT_EQ(Changed(Base(), one), Kinds());
  const JobSpec renamed = with({{"c", {"/texts/a.txt"}, 1}, {"d", {"/texts/b.txt"}, 3}});
  EXPECT_EQ(Changed(two, renamed), Kinds{kModel});
}

TEST(Fingerprint, SourceBytesAndTheirOrderMatterWhereTheyAreRead) {
  const JobSpec spec = Base();
  for (const StageKind kind : kAllStages) {
    const std::string before = IdentityOf(kind, spec, {"aa", "bb"}, Inputs()).Fingerprint();
    const std::string swapped = IdentityOf(kind, spec, {"bb", "aa"}, Inputs()).Fingerprint();
    const std::string other = IdentityOf(kind, spec, {"aa", "b0"}, Inputs()).Fingerprint();
    const bool reads = kind == kTokenizer || kind == kTokens;
    EXPECT_EQ(before != swapped, reads) << StageName(kind);
    EXPECT_EQ(before != other, reads) << StageName(kind);
  }
}

TEST(Fingerprint, EachInputsDigestMatters) {
  const JobSpec spec = Base();
  for (const StageKind kind : kAllStages) {
    const std::string before = Identity(kind, spec).Fingerprint();
    std::vector<StageKind> seen;
    for (const StageKind input : kAllStages) {
      auto inputs = Inputs();
      inputs[input] += " changed";
      const std::string after = IdentityOf(kind, spec, {"aa", "bb"}, inputs).Fingerprint();
      if (after != before) seen.push_back(input);
    }
    EXPECT_EQ(seen, InputsOf(kind, spec)) << StageName(kind);
  }
}

TEST(Fingerprint, AnImportedTokenizerIsItsFile) {
  JobSpec spec = Base();
  spec.tokenizer.path = "/t.json";
  const StageIdentity identity = IdentityOf(kTokenizer, spec, {"aa", "bb"}, {}, "cc");
  EXPECT_THAT(identity.fields, ElementsAre(FingerprintField{"version", "3"},
                                           FingerprintField{"tokenizer.file.sha256", "cc"}));
  EXPECT_NE(identity.Fingerprint(),
            IdentityOf(kTokenizer, spec, {"aa", "bb"}, {}, "dd").Fingerprint());
  spec.tokenizer.path = "/moved/t.json";
  EXPECT_EQ(identity.Fingerprint(), IdentityOf(kTokenizer, spec, {}, {}, "cc").Fingerprint());
  spec.tokenizer.pattern = "cl100k_base";
  EXPECT_NE(identity.Fingerprint(), IdentityOf(kTokenizer, spec, {}, {}, "cc").Fingerprint());
}

TEST(Fingerprint, IsTheSha256OfCountedParts) {
  const StageIdentity identity{kLatents, {{"version", "1"}, {"input.tokens", "ab"}}};
  EXPECT_EQ(identity.Fingerprint(), Sha256::Of("7:latents7:version1:112:input.tokens2:ab"));
}

// Artifacts that were made before the key came stay what they are.
TEST(Fingerprint, HasNoFieldForAKeyAsItWasBeforeItCame) {
  const auto has_precision = [](const JobSpec& spec) {
    for (const FingerprintField& field : Identity(kModel, spec).fields) {
      if (field.name == "train.precision") return true;
    }
    return false;
  };
  JobSpec spec = Base();
  EXPECT_FALSE(has_precision(spec));
  spec.train.precision = Precision::kBFloat16;
  EXPECT_TRUE(has_precision(spec));
}

TEST(Fingerprint, CannotConfuseFieldsThatJoinToTheSameText) {
  const StageIdentity a{kTokens, {{"ab", "c"}, {"d", "e"}}};
  const StageIdentity b{kTokens, {{"a", "bc"}, {"d", "e"}}};
  const StageIdentity c{kTokens, {{"ab", "c"}, {"de", ""}}};
  const StageIdentity d{kModel, {{"ab", "c"}, {"d", "e"}}};
  EXPECT_EQ(
      (std::set<std::string>{a.Fingerprint(), b.Fingerprint(), c.Fingerprint(), d.Fingerprint()})
          .size(),
      4u);
}

TEST(Identity, WithoutStoredLatentsTheModelReadsTheAutoencoder) {
  JobSpec spec = Base();
  const std::string stored = Identity(kModel, spec).Fingerprint();
  const std::string tokens = Identity(kTokens, spec).Fingerprint();
  spec.data.latents = LatentsRule::kAuto;
  EXPECT_EQ(Identity(kModel, spec).Fingerprint(), stored);
  spec.data.latents = LatentsRule::kRecompute;
  EXPECT_TRUE(RecomputesLatents(spec));
  EXPECT_THAT(StagesOf(spec), ElementsAre(kTokenizer, kTokens, kAutoencoder, kModel, kEval));
  EXPECT_THAT(InputsOf(kModel, spec), ElementsAre(kTokens, kAutoencoder));
  EXPECT_THAT(InputsOf(kEval, spec), ElementsAre(kTokens, kAutoencoder, kModel));
  EXPECT_NE(Identity(kModel, spec).Fingerprint(), stored);
  EXPECT_EQ(Identity(kTokens, spec).Fingerprint(), tokens);
  spec.model.head = HeadKind::kSoftmax;
  EXPECT_FALSE(RecomputesLatents(spec));
  EXPECT_THAT(InputsOf(kModel, spec), ElementsAre(kTokens));
}

TEST(Identity, OfATrainedTokenizerHasTheseFields) {
  std::vector<std::string> names;
  for (const FingerprintField& field : Identity(kTokenizer, Base()).fields) {
    names.push_back(field.name);
  }
  EXPECT_THAT(names,
              ElementsAre("version", "data.format", "data.documents", "data.field", "data.heldout",
                          "data.invalid_utf8", "data.bad_documents", "data.shard_bytes",
                          "tokenizer.vocab_size", "tokenizer.pattern", "tokenizer.train_bytes_max",
                          "source[0].sha256", "source[1].sha256"));
}

TEST(Identity, OfLatentsReadsLikeThis) {
  EXPECT_THAT(
      Identity(kLatents, Base()).fields,
      ElementsAre(FingerprintField{"version", "2"}, FingerprintField{"autoencoder.chunk_size", "4"},
                  FingerprintField{"dtype", "f16"},
                  FingerprintField{"input.tokens", "digest of tokens"},
                  FingerprintField{"input.autoencoder", "digest of autoencoder"}));
}

TEST(Identity, TheFormatOfLatentsIsAFieldOfWhoEncodes) {
  const auto dtype = [](StageKind kind, const JobSpec& spec) -> std::string {
    for (const FingerprintField& field : Identity(kind, spec).fields) {
      if (field.name == "dtype") return field.value;
    }
    return "";
  };
  JobSpec spec = Base();
  EXPECT_EQ(dtype(kModel, spec), "");
  spec.data.latent_format = LatentFormat::kFloat32;
  EXPECT_EQ(dtype(kLatents, spec), "f32");
  EXPECT_EQ(dtype(kModel, spec), "");
  spec.data.latents = LatentsRule::kRecompute;
  EXPECT_EQ(dtype(kModel, spec), "f32");
  spec.data.latent_format = LatentFormat::kBFloat16;
  EXPECT_EQ(dtype(kModel, spec), "bf16");
  // As models were made before there was a choice.
  spec.data.latent_format = LatentFormat::kFloat16;
  EXPECT_EQ(dtype(kModel, spec), "");
}

TEST(Identity, ThePrecisionOfEncodingIsAFieldOfWhoEncodesInBFloat16) {
  const auto has_field = [](StageKind kind, const JobSpec& spec) {
    const std::vector<FingerprintField> fields = Identity(kind, spec).fields;
    const bool has = std::ranges::count(fields, "data.encoding_precision", &FingerprintField::name);
    EXPECT_EQ(EncodingPrecisionOf(fields), has ? Precision::kBFloat16 : Precision::kFloat32);
    return has;
  };
  JobSpec spec = Base();
  for (const bool is_bfloat16 : {false, true}) {
    spec.data.encoding_precision = is_bfloat16 ? Precision::kBFloat16 : Precision::kFloat32;
    spec.data.latents = LatentsRule::kStore;
    EXPECT_EQ(has_field(kLatents, spec), is_bfloat16);
    EXPECT_FALSE(has_field(kModel, spec));
    EXPECT_FALSE(has_field(kTokens, spec));
    spec.data.latents = LatentsRule::kRecompute;
    EXPECT_EQ(has_field(kModel, spec), is_bfloat16);
    EXPECT_FALSE(has_field(kEval, spec));
  }
}

TEST(Differences, NameWhatChangedCameAndWent) {
  const std::vector<FingerprintField> before = {{"same", "1"}, {"changed", "2"}, {"gone", "3"}};
  const std::vector<FingerprintField> after = {{"new", "4"}, {"changed", "5"}, {"same", "1"}};
  std::vector<std::string> lines;
  for (const FieldDifference& d : Differences(before, after)) {
    lines.push_back(d.name + ": " + d.before + " -> " + d.after);
  }
  EXPECT_THAT(lines, ElementsAre("changed: 2 -> 5", "gone: 3 -> ", "new:  -> 4"));
  EXPECT_THAT(Differences(before, before), IsEmpty());
}

}  // namespace
}  // namespace halcyon::jobs
