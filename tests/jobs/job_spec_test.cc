#include "jobs/job_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace halcyon::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The least a job file must hold; what tests add starts at line 4.
constexpr char kHead[] = "name = \"a\"\n[data]\nsources = [\"t.txt\"]\n";

absl::StatusOr<JobSpec> Parse(const std::string& toml) {
  return ParseJobSpec(toml, "job.toml", "/base", /*check_files=*/false);
}
absl::StatusOr<JobSpec> ParseAfterHead(const std::string& toml) { return Parse(kHead + toml); }

// The lines of the error, each without "job.toml:".
std::vector<std::string> Errors(const std::string& toml) {
  const absl::Status status = Parse(toml).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status.message();
  std::vector<std::string> lines;
  std::istringstream text(MessageOf(status));
  const std::string file = "job.toml:";
  for (std::string line; std::getline(text, line);) {
    EXPECT_EQ(line.substr(0, file.size()), file);
    lines.push_back(line.substr(std::min(line.size(), file.size())));
  }
  return lines;
}
std::vector<std::string> ErrorsAfterHead(const std::string& toml) { return Errors(kHead + toml); }

TEST(JobSpec, TheLeastFileGivesTheDefaults) {
  const auto spec = Parse(kHead);
  ASSERT_TRUE(spec.ok()) << spec.status();
  JobSpec expected;
  expected.name = "a";
  expected.data.sources = {"/base/t.txt"};
  // Chosen by the width, so that the resolved file says it.
  expected.autoencoder.init = expected.model.init = InitRule::kFanIn;
  EXPECT_EQ(*spec, expected);
  EXPECT_EQ(spec->autoencoder.train.batch, 512);
  EXPECT_EQ(spec->train.batch, 8);
}

TEST(JobSpec, ReadsEveryKindOfValue) {
  const auto spec = Parse(R"(
name = "GCIDE-2.small_one"
seed = 9223372036854775807
train.steps = 1_000
[data]
sources = ["t.txt", '/abs/../u.txt',
           "../v w.txt"]
documents = "entries"
heldout = 0
[autoencoder]
kl_weight = 1e-3
[autoencoder.train]
decay = "cosine"
[tokenizer]
pattern = "cl100k"
)");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->name, "GCIDE-2.small_one");
  EXPECT_EQ(spec->seed, 9223372036854775807u);
  EXPECT_THAT(spec->data.sources, ElementsAre("/base/t.txt", "/u.txt", "/v w.txt"));
  EXPECT_EQ(spec->data.documents, DocumentRule::kEntries);
  EXPECT_EQ(spec->data.heldout, 0.0);
  EXPECT_EQ(spec->autoencoder.kl_weight, 0.001);
  EXPECT_EQ(spec->autoencoder.train.decay, LearningRateDecay::kCosine);
  EXPECT_EQ(spec->tokenizer.pattern, "cl100k");
  EXPECT_EQ(spec->train.steps, 1000);
}

TEST(JobSpec, EveryChoiceHasItsText) {
  JobSpec spec = *Parse(kHead);
  const auto expect = [&spec](const std::string& line) {
    EXPECT_THAT(ToToml(spec), HasSubstr("\n" + line + "\n"));
    EXPECT_EQ(*Parse(ToToml(spec)), spec) << line;
  };
  const std::vector<std::string> rules = {"file", "lines", "paragraphs", "entries"};
  for (size_t i = 0; i < rules.size(); ++i) {
    spec.data.documents = static_cast<DocumentRule>(i);
    expect("documents = \"" + rules[i] + "\"");
  }
  const std::vector<std::string> decays = {"constant", "cosine", "linear"};
  for (size_t i = 0; i < decays.size(); ++i) {
    spec.train.decay = static_cast<LearningRateDecay>(i);
    expect("decay = \"" + decays[i] + "\"");
  }
  for (const char* pattern : {"gpt2", "llama3", "cl100k", "o200k"}) {
    spec.tokenizer.pattern = pattern;
    expect("pattern = \"" + std::string(pattern) + "\"");
  }
  expect("invalid_utf8 = \"replace\"");
  spec.data.invalid_utf8 = InvalidUtf8::kRefuse;
  expect("invalid_utf8 = \"refuse\"");
  expect("encoding_precision = \"float32\"");
  spec.data.encoding_precision = Precision::kBFloat16;
  expect("encoding_precision = \"bfloat16\"");
  expect("target = \"exact\"");
  spec.model.target = EnergyTarget::kSamples;
  expect("target = \"samples\"");
  expect("init = \"fan_in\"");
  spec.model.init = spec.autoencoder.init = InitRule::kNormal;
  expect("init = \"normal\"");
  expect("format = \"text\"");
  spec.data.documents = DocumentRule::kFile;
  spec.data.format = DataFormat::kJsonl;
  expect("format = \"jsonl\"");
}

TEST(JobSpec, AwkwardValuesSurviveTheRoundTrip) {
  JobSpec spec = *Parse(kHead);
  spec.data.sources = {"/a \"quoted\" \\ name.txt", "/ünïcode/日本.txt", "/[1]#.txt"};
  spec.seed = std::numeric_limits<int64_t>::max();
  spec.train.learning_rate = 0.1 + 0.2;
  spec.train.epsilon = std::numeric_limits<double>::denorm_min();
  spec.train.beta1 = std::nextafter(1.0, 0.0);
  spec.train.weight_decay = 1.0 / 3;
  spec.train.clip_norm = 1e9;
  spec.eval.temperature = 1.0 / 3;
  const auto again = Parse(ToToml(spec));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, spec);
  EXPECT_EQ(ToToml(*again), ToToml(spec));
}

TEST(JobSpec, ASyntaxErrorHasItsLine) {
  EXPECT_THAT(ErrorsAfterHead("[train]\nsteps = = 3\n"),
              ElementsAre(testing::StartsWith("5: TOML syntax: ")));
  EXPECT_THAT(ErrorsAfterHead("[train]\nsteps = 3\nsteps = 4\n"),
              ElementsAre(testing::StartsWith("6: TOML syntax: ")));
  EXPECT_THAT(ErrorsAfterHead("\"x\\ny\" = 1\n\"x\\ny\" = 2\n"),
              ElementsAre(testing::StartsWith("5: TOML syntax: ")));
}

TEST(JobSpec, AKeyOfVeryManyPartsIsRefusedAndNotFollowed) {
  std::string key = "a";
  for (int i = 0; i < 300000; ++i) key += ".a";
  EXPECT_THAT(ErrorsAfterHead(key + " = 1\n"),
              ElementsAre("4: TOML syntax: more than 5000 dots in a line; break the line up"));
  EXPECT_THAT(ErrorsAfterHead(key.substr(0, 10001) + " = 1\n"),
              ElementsAre(HasSubstr("4: data.a: unknown table")));
}

TEST(JobSpec, UnknownNamesGetTheNearestValidOne) {
  EXPECT_THAT(ErrorsAfterHead("[autoencoder]\nchunksize = 4\n"),
              ElementsAre("5: autoencoder.chunksize: unknown key; did you mean \"chunk_size\"?"));
  EXPECT_THAT(
      ErrorsAfterHead("vocab_size = 300\n"),
      ElementsAre("4: data.vocab_size: unknown key; it belongs in [tokenizer]; move it there"));
  EXPECT_THAT(ErrorsAfterHead("\n[modle]\nlayers = 2\n"),
              ElementsAre("5: modle: unknown table; did you mean [model]?"));
  EXPECT_THAT(
      ErrorsAfterHead("[autoencoder.trian]\nsteps = 2\n"),
      ElementsAre("4: autoencoder.trian: unknown table; did you mean [autoencoder.train]?"));
  EXPECT_THAT(ErrorsAfterHead("[[models]]\n"),
              ElementsAre("4: models: unknown table; did you mean [model]?"));
  EXPECT_THAT(ErrorsAfterHead("[checkpoint]\n\"a\\nb\" = 2\n"),
              ElementsAre("5: checkpoint.\"a\\u000Ab\": unknown key; remove it, or use one of "
                          "every, keep"));
}

TEST(JobSpec, AWrongTypeSaysExpectedAndFound) {
  EXPECT_THAT(ErrorsAfterHead("[train]\nsteps = 10.0\n"),
              ElementsAre("5: train.steps: expected an integer, found the number 10.0; write for "
                          "example steps = 1500"));
  EXPECT_THAT(ErrorsAfterHead("[train]\nsteps = \"10\"\n"),
              ElementsAre(HasSubstr("expected an integer, found the string \"10\";")));
  EXPECT_THAT(ErrorsAfterHead("heldout = true\n"),
              ElementsAre("4: data.heldout: expected a number, found true; write for example "
                          "heldout = 0.02"));
  EXPECT_THAT(ErrorsAfterHead("format = 3\n"),
              ElementsAre("4: data.format: expected a string, found the integer 3; write for "
                          "example format = \"text\""));
  EXPECT_THAT(ErrorsAfterHead("field = []\n"),
              ElementsAre(HasSubstr("data.field: expected a string, found an array;")));
  EXPECT_THAT(ErrorsAfterHead("[model.layers]\n"),
              ElementsAre(HasSubstr("4: model.layers: expected an integer, found a table;")));
  EXPECT_THAT(ErrorsAfterHead("[train]\nbatch = 2020-01-01\n"),
              ElementsAre(HasSubstr("expected an integer, found a date or a time;")));
  EXPECT_THAT(Errors("name = \"a\"\ndata = 3\n"),
              ElementsAre("2: data: expected a table, found the integer 3; write [data] on a line "
                          "of its own with its keys below"));
}

TEST(JobSpec, SourcesAreAnArrayOfStringsWithALineEach) {
  EXPECT_THAT(Errors("name = \"a\"\n[data]\nsources = \"t.txt\"\n"),
              ElementsAre("3: data.sources: expected an array of strings, found the string "
                          "\"t.txt\"; write for example sources = [\"text.txt\"]"));
  EXPECT_THAT(Errors("name = \"a\"\n[data]\nsources = [\"t.txt\",\n  7]\n"),
              ElementsAre(HasSubstr("4: data.sources: expected an array of strings, found the "
                                    "integer 7;")));
  EXPECT_THAT(Errors("name = \"a\"\n[data]\nsources = []\n"),
              ElementsAre("3: data.sources: is empty; name at least one file"));
  EXPECT_THAT(Errors("name = \"a\"\n[data]\nsources = [\"t.txt\",\n\"\"]\n"),
              ElementsAre("4: data.sources[1]: is empty; name a file"));
  EXPECT_THAT(Errors("name = \"a\"\n[data]\nsources = [\"t.txt\",\n\"u\\u0000v\"]\n"),
              ElementsAre("4: data.sources: \"u\\u0000v\" holds a control character; remove it"));
  EXPECT_THAT(Errors("name = \"a\"\n[data]\nsources = [\"t.txt\", \"u.txt\",\n\"./x/../t.txt\"]\n"),
              ElementsAre("4: data.sources[2]: /base/t.txt is named twice; remove one of the two"));
}

TEST(JobSpec, AnUnknownChoiceListsTheValidOnes) {
  EXPECT_THAT(ErrorsAfterHead("documents = \"line\"\n"),
              ElementsAre("4: data.documents: \"line\" is not a valid value; choose one of "
                          "\"file\", \"lines\", \"paragraphs\", \"entries\""));
}

TEST(JobSpec, OutOfRangeSaysWhyAndTheRange) {
  EXPECT_THAT(ErrorsAfterHead("[model]\nalpha = 2.5\n"),
              ElementsAre("5: model.alpha: 2.5 is out of range (the energy score is proper only "
                          "there); choose a value above 0.0 and at most 2.0"));
  EXPECT_THAT(ErrorsAfterHead("[tokenizer]\nvocab_size = 258\n"),
              ElementsAre("5: tokenizer.vocab_size: 258 is out of range (a vocabulary holds 256 "
                          "bytes, 2 special tokens and at least 1 merge); choose a value from 259 "
                          "to 1048576"));
  EXPECT_THAT(ErrorsAfterHead("heldout = nan\n"), ElementsAre(HasSubstr("nan is out of range")));
  EXPECT_THAT(ErrorsAfterHead("[train]\nclip_norm = inf\n"),
              ElementsAre(HasSubstr("inf is out of range")));
}

TEST(JobSpec, APresetGivesDefaultsThatTheFileMayChange) {
  const auto plain = ParseAfterHead("[autoencoder]\nkl_weight = 0\npreset = \"plain-10\"\n");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_FALSE(plain->autoencoder.variational);
  EXPECT_EQ(plain->autoencoder.latent_size, 10);
  EXPECT_EQ(plain->autoencoder.token_dropout, 0);
  const auto wider = ParseAfterHead("[autoencoder]\nlatent_size = 12\npreset = \"plain-10\"\n");
  ASSERT_TRUE(wider.ok()) << wider.status();
  EXPECT_EQ(wider->autoencoder.latent_size, 12);
  const auto again = Parse(ToToml(*wider));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, *wider);
}

TEST(JobSpec, ThePapersSizesAreAPreset) {
  const auto spec = ParseAfterHead(
      "[autoencoder]\npreset = \"calm\"\n[model]\npreset = \"calm-m\"\n[train]\nsteps = 9000\n");
  ASSERT_TRUE(spec.ok()) << spec.status();
  // Section 4.1 and table 1: 75.8M parameters with the paper's vocabulary; 16 blocks, 371M.
  EXPECT_EQ(spec->autoencoder.latent_size, 128);
  EXPECT_EQ(spec->autoencoder.hidden_size, 512);
  EXPECT_EQ(spec->autoencoder.intermediate_size, 1280);
  EXPECT_EQ(spec->autoencoder.train.learning_rate, 3e-4);
  EXPECT_EQ(spec->autoencoder.init, InitRule::kNormal);
  EXPECT_EQ(spec->model.layers, 16);
  EXPECT_EQ(spec->model.hidden_size, 1024);
  EXPECT_EQ(spec->model.intermediate_size, 2752);
  EXPECT_EQ(spec->model.attention_heads, 16);
  EXPECT_EQ(spec->model.head_layers, 4);
  EXPECT_EQ(spec->model.window_chunks, 2048);
  EXPECT_EQ(spec->train.learning_rate, 3e-4);
  EXPECT_EQ(spec->train.decay, LearningRateDecay::kConstant);
  EXPECT_EQ(spec->train.steps, 9000);
  EXPECT_EQ(*Parse(ToToml(*spec)), *spec);
  // The baseline of these sizes; the keys of other heads that the preset sets are not the user's.
  const auto baseline = ParseAfterHead("[model]\npreset = \"calm-s\"\nhead = \"softmax\"\n");
  ASSERT_TRUE(baseline.ok()) << baseline.status();
  EXPECT_EQ(baseline->model.layers, 12);
  EXPECT_EQ(*Parse(ToToml(*baseline)), *baseline);
}

TEST(JobSpec, TheWidthChoosesTheInitialWeights) {
  const auto at = [](int width, const std::string& more) {
    const auto spec = ParseAfterHead("[model]\nhidden_size = " + std::to_string(width) +
                                     "\nattention_heads = 1\n" + more);
    EXPECT_TRUE(spec.ok()) << spec.status();
    return std::pair(spec->model.init, spec->model.init_std);
  };
  EXPECT_EQ(at(510, ""), std::pair(InitRule::kFanIn, 0.5));
  EXPECT_EQ(at(512, ""), std::pair(InitRule::kNormal, 0.02));
  EXPECT_EQ(at(512, "init = \"auto\"\ninit_std = 0.1\n"), std::pair(InitRule::kNormal, 0.1));
  EXPECT_EQ(at(512, "init = \"fan_in\"\n"), std::pair(InitRule::kFanIn, 0.5));
  EXPECT_EQ(at(128, "init = \"normal\"\n"), std::pair(InitRule::kNormal, 0.02));
  EXPECT_EQ(at(128, "init = \"normal\"\ninit_std = 0.5\n"), std::pair(InitRule::kNormal, 0.5));
}

// It writes every key, and with it what was a default when it was written.
TEST(JobSpec, AResolvedFileIsReadWhateverTheDefaultsHaveBecome) {
  auto spec = ParseAfterHead("[tokenizer]\npath = \"t.json\"\n[model]\nhead = \"softmax\"\n");
  ASSERT_TRUE(spec.ok()) << spec.status();
  spec->model.head_layers = 77;
  spec->tokenizer.vocab_size = 7777;
  const auto again = Parse(ToToml(*spec));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, *spec);
}

TEST(JobSpec, ASettingOfAnotherHeadIsRefused) {
  EXPECT_THAT(ErrorsAfterHead("[model]\nhead = \"softmax\"\nalpha = 1.5\n"),
              ElementsAre("6: model.alpha: has no effect with this model.head; remove it"));
  EXPECT_THAT(ErrorsAfterHead("[model]\nflow_steps = 20\n"),
              ElementsAre("5: model.flow_steps: has no effect with this model.head; remove it"));
  EXPECT_TRUE(ParseAfterHead("[model]\nhead = \"flow\"\nflow_steps = 20\n").ok());
  EXPECT_THAT(
      ErrorsAfterHead("encoding_precision = \"bfloat16\"\n[model]\nhead = \"softmax\"\n"),
      ElementsAre("4: data.encoding_precision: has no effect with this model.head; remove it"));
}

TEST(JobSpec, AlphaTwoIsAllowedWithAWarning) {
  const auto spec = ParseAfterHead("[model]\nalpha = 2\n");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_THAT(Warnings(*spec), ElementsAre(HasSubstr("model.alpha: with 2.0")));
  EXPECT_TRUE(Warnings(JobSpec()).empty());
}

TEST(JobSpec, AWindowHoldsFourTokensToScore) {
  EXPECT_THAT(ErrorsAfterHead("[model]\nwindow_chunks = 4\n[autoencoder]\nchunk_size = 1\n"),
              ElementsAre(HasSubstr("choose 5 or more")));
  EXPECT_TRUE(ParseAfterHead("[model]\nwindow_chunks = 3\n[autoencoder]\nchunk_size = 2\n").ok());
}

TEST(JobSpec, HeadsThatShareKeysMustDivide) {
  EXPECT_THAT(ErrorsAfterHead("[model]\nkey_value_heads = 3\n"),
              ElementsAre(HasSubstr("3 does not divide attention_heads = 4")));
  EXPECT_THAT(ErrorsAfterHead("[model]\nskip_autoencoder_data = true\n"),
              ElementsAre(HasSubstr("leaves nothing to train on")));
  EXPECT_THAT(ErrorsAfterHead("[model]\ntie_embeddings = 1\n"),
              ElementsAre(HasSubstr("expected true or false, found the integer 1")));
}

TEST(JobSpec, BoundsAreInsideOrOutsideAsDocumented) {
  struct Case {
    std::string section, good, bad;
  };
  const std::vector<Case> cases = {
      {"data", "heldout = 0.5", "heldout = 0.51"},
      {"data", "shard_bytes = 1", "shard_bytes = 0"},
      {"tokenizer", "vocab_size = 259", "vocab_size = 1048577"},
      {"train", "micro_batch = 0", "micro_batch = -1"},
      {"train", "learning_rate = 1", "learning_rate = 0"},
      {"train", "beta1 = 0", "beta1 = 1"},
      {"train", "epsilon = 1e-30", "epsilon = 0.0"},
      {"train", "final_learning_rate_ratio = 1", "final_learning_rate_ratio = 1.01"},
      {"autoencoder", "token_dropout = 0", "token_dropout = 1.0"},
      {"autoencoder", "latent_dropout = 0.99", "latent_dropout = -0.1"},
      {"autoencoder", "kl_weight = 0", "kl_weight = -1"},
      {"model", "alpha = 2.0", "alpha = 0"},
      {"model", "samples = 2", "samples = 1"},
      {"model", "window_chunks = 2", "window_chunks = 1"},
      {"model", "init_std = 0.5", "init_std = 0"},
      {"checkpoint", "keep = 1", "keep = 0"},
      {"eval", "samples = 2", "samples = 1"},
      {"eval", "bootstrap = 40", "bootstrap = 39"},
      {"eval", "temperature = 1", "temperature = 2"},
      {"launch", "ranks = 1024", "ranks = 1025"},
      {"launch", "agents = 0", "agents = -1"},
  };
  for (const Case& c : cases) {
    const std::string head = "name = \"a\"\ndata.sources = [\"t\"]\n";
    const std::string table = c.section == "data" ? "data." : "[" + c.section + "]\n";
    EXPECT_TRUE(Parse(head + table + c.good).ok())
        << c.good << Parse(head + table + c.good).status();
    EXPECT_THAT(Errors(head + table + c.bad), ElementsAre(HasSubstr("out of range"))) << c.bad;
  }
  EXPECT_THAT(Errors("seed = -1\n" + std::string(kHead)), ElementsAre(HasSubstr("1: seed: -1")));
}

TEST(JobSpec, MissingKeysAreNamedWithTheirTablesLine) {
  EXPECT_THAT(Errors(""),
              ElementsAre("1: name: missing; write name = \"my-job\"",
                          "1: data.sources: missing; write in [data] sources = [\"text.txt\"]"));
  EXPECT_THAT(Errors("name = \"a\"\n\n[data]\nheldout = 0.1\n"),
              ElementsAre("3: data.sources: missing; write in [data] sources = [\"text.txt\"]"));
}

TEST(JobSpec, TheNameServesAsAFolder) {
  const std::string rest = "\n[data]\nsources = [\"t\"]\n";
  for (const char* good : {"a", "A-b_c.9", "0"}) {
    EXPECT_TRUE(Parse("name = \"" + std::string(good) + "\"" + rest).ok()) << good;
  }
  for (const char* bad : {"", ".", "..", "-x", ".hidden", "a/b", "a b", "ä"}) {
    EXPECT_THAT(Errors("name = \"" + std::string(bad) + "\"" + rest),
                ElementsAre(HasSubstr("1: name: \"" + std::string(bad) + "\" does not serve")));
  }
  EXPECT_TRUE(Parse("name = \"" + std::string(100, 'a') + "\"" + rest).ok());
  EXPECT_FALSE(Parse("name = \"" + std::string(101, 'a') + "\"" + rest).ok());
}

TEST(JobSpec, ContradictionsNameBothSidesAndALineThatIsWritten) {
  EXPECT_THAT(ErrorsAfterHead("[train]\n\nsteps = 20\n"),
              ElementsAre("6: train.warmup_steps: 50 is more than steps = 20; write "
                          "warmup_steps = 20 or less"));
  EXPECT_THAT(ErrorsAfterHead("[autoencoder.train]\nbatch = 4\nmicro_batch = 5\n"),
              ElementsAre("6: autoencoder.train.micro_batch: 5 is more than batch = 4; write "
                          "micro_batch = 4 or less, or 0"));
  EXPECT_THAT(ErrorsAfterHead("[model]\nhidden_size = 36\nattention_heads = 4\n"),
              ElementsAre("5: model.hidden_size: 36 does not fall into 4 attention heads of an "
                          "even size, which rotary embeddings need; choose a multiple of 8"));
  EXPECT_THAT(ErrorsAfterHead("[model]\nattention_heads = 5\n"),
              ElementsAre(HasSubstr("5: model.hidden_size: 128 does not fall into 5")));
  EXPECT_THAT(ErrorsAfterHead("heldout = 0\n[eval]\nevery = 10\n"),
              ElementsAre("6: eval.every: needs held-out documents; write data.heldout = 0.02 or "
                          "so, or data.heldout_sources, or eval.every = 0"));
}

TEST(JobSpec, SettingsWithoutEffectAreRefused) {
  EXPECT_THAT(ErrorsAfterHead("format = \"jsonl\"\ndocuments = \"lines\"\n"),
              ElementsAre(HasSubstr("5: data.documents: has no effect with format = \"jsonl\"")));
  EXPECT_THAT(ErrorsAfterHead("field = \"body\"\n"),
              ElementsAre(HasSubstr("4: data.field: has no effect with format = \"text\"")));
  EXPECT_THAT(ErrorsAfterHead("format = \"jsonl\"\nfield = \"\"\n"),
              ElementsAre("5: data.field: is empty; name the member that holds the text"));
  EXPECT_THAT(
      ErrorsAfterHead("[tokenizer]\npath = \"t.json\"\nvocab_size = 300\npattern = \"llama3\"\n"
                      "train_bytes_max = 7\nwords_bytes_max = 2000000\n"),
      ElementsAre(HasSubstr("6: tokenizer.vocab_size: has no effect with tokenizer.path"),
                  HasSubstr("8: tokenizer.train_bytes_max: has no effect with tokenizer.path"),
                  HasSubstr("9: tokenizer.words_bytes_max: has no effect with tokenizer.path")));
  EXPECT_THAT(ErrorsAfterHead("[tokenizer]\npattern = \"cl100k_base\"\n"),
              ElementsAre(HasSubstr("5: tokenizer.pattern: must be one of \"gpt2\", \"llama3\"")));
}

TEST(JobSpec, IdsNeedTheirVocabularyAndNothingOfText) {
  EXPECT_THAT(ErrorsAfterHead("format = \"tokens\"\n"),
              ElementsAre(HasSubstr("4: data.format: \"tokens\" needs the vocabulary")));
  const std::string tokenizer = "[tokenizer]\npath = \"t.json\"\n";
  const auto ids = ParseAfterHead(
      "format = \"tokens\"\ntoken_type = \"uint16\"\nend_of_document = 50256\n" + tokenizer);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ(ids->data.format, DataFormat::kTokens);
  EXPECT_EQ(ids->data.token_type, TokenType::kUint16);
  EXPECT_EQ(ids->data.end_of_document, 50256);
  EXPECT_THAT(
      ErrorsAfterHead("format = \"tokens\"\ndocuments = \"lines\"\nfield = \"body\"\n"
                      "invalid_utf8 = \"refuse\"\nbad_documents = \"skip\"\n" +
                      tokenizer),
      ElementsAre(HasSubstr("5: data.documents: has no effect with format = \"tokens\""),
                  HasSubstr("6: data.field: has no effect with format = \"tokens\""),
                  HasSubstr("7: data.invalid_utf8: has no effect with format = \"tokens\""),
                  HasSubstr("8: data.bad_documents: has no effect with format = \"tokens\"")));
  EXPECT_THAT(ErrorsAfterHead("token_type = \"uint32\"\nend_of_document = 0\n"),
              ElementsAre(HasSubstr("4: data.token_type: has no effect with format = \"text\""),
                          HasSubstr("5: data.end_of_document: has no effect with format")));
  EXPECT_THAT(ErrorsAfterHead("format = \"tokens\"\ntoken_type = \"uint16\"\n"
                              "end_of_document = 65536\n" +
                              tokenizer),
              ElementsAre(HasSubstr("6: data.end_of_document: 65536 does not fit into")));
}

TEST(JobSpec, BadDocumentsNeedARuleThatRefusesSome) {
  EXPECT_THAT(
      ErrorsAfterHead("bad_documents = \"skip\"\n"),
      ElementsAre(HasSubstr("4: data.bad_documents: has no effect with format = \"text\"")));
  const auto json = ParseAfterHead("format = \"jsonl\"\nbad_documents = \"skip\"\n");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(json->data.bad_documents, BadDocuments::kSkip);
  EXPECT_TRUE(ParseAfterHead("invalid_utf8 = \"refuse\"\nbad_documents = \"skip\"\n").ok());
}

// The sizes at which a sequence's random numbers run out, and the last before it.
TEST(JobSpec, DrawsThatNeedMoreRandomNumbersThanThereAreAreRefused) {
  const std::string most = "[model]\nwindow_chunks = 1048576\nsamples = 128\n";
  EXPECT_TRUE(ParseAfterHead(most + "noise_size = 64\n").ok());
  EXPECT_THAT(ErrorsAfterHead(most + "noise_size = 65\n"),
              ElementsAre(HasSubstr("6: model.samples: 128 draws of 65 numbers (model.noise_size) "
                                    "at 1048576 places are more than the 2^33 random numbers")));
  const std::string flow = "[autoencoder]\nlatent_size = 64\n[model]\nhead = \"flow\"\n";
  EXPECT_TRUE(ParseAfterHead(flow + "window_chunks = 1048576\nsamples = 64\n").ok());
  EXPECT_THAT(ErrorsAfterHead(flow + "window_chunks = 1048576\nsamples = 65\n"),
              ElementsAre(HasSubstr("9: model.samples: 65 draws")));
  EXPECT_THAT(ErrorsAfterHead("[model]\nwindow_chunks = 1048576\nsamples = 8\n[eval]\n"
                              "samples = 257\n"),
              ElementsAre(HasSubstr("8: eval.samples: 257 draws of 64 numbers")));
  EXPECT_THAT(ErrorsAfterHead("[model]\nnoise_size = 262144\nwindow_chunks = 64\n[eval]\n"
                              "temperature_samples = 65537\n"),
              ElementsAre(HasSubstr("8: eval.temperature_samples: 65537 draws")));
  // As many as the paper's window with the most draws takes.
  EXPECT_TRUE(ParseAfterHead("[model]\nhead = \"diffusion\"\n[eval]\nsamples = 1024\n").ok());
}

TEST(JobSpec, AnExternalLauncherPlacesTheRanksItself) {
  EXPECT_EQ(ParseAfterHead("[launch]\nlauncher = \"external\"\n")->launch.placement.launcher,
            LauncherKind::kExternal);
  for (const char* setting : {"hosts = [\"n1\"]", "hostfile = \"h\"", "interfaces = \"eth0\"",
                              "transports = \"tcp\"", "bind = \"core\"", "rsh_agent = \"rsh\""}) {
    EXPECT_THAT(
        ErrorsAfterHead(std::string("[launch]\nlauncher = \"external\"\n") + setting + "\n"),
        ElementsAre(HasSubstr("has no effect with launcher = \"external\"")))
        << setting;
  }
  EXPECT_THAT(ErrorsAfterHead("[launch]\nlauncher = \"external\"\nranks = 4\nranks_min = 2\n"),
              ElementsAre(HasSubstr("has a world of fixed size")));
}

TEST(JobSpec, CopiesOfCachesGoToAnAbsoluteFolder) {
  EXPECT_EQ(
      ParseAfterHead("[launch]\ncopy_caches_to = \"/local/scratch\"\n")->launch.copy_caches_to,
      "/local/scratch");
  EXPECT_THAT(ErrorsAfterHead("[launch]\ncopy_caches_to = \"scratch\"\n"),
              ElementsAre(HasSubstr("5: launch.copy_caches_to: \"scratch\" is not an absolute")));
}

TEST(JobSpec, HostsAreNamedOnceAndHoldNoShellText) {
  const auto spec = ParseAfterHead(
      "[launch]\nhosts = [\"n1:4\", \"n2\"]\nlauncher = \"mpirun\"\n"
      "rsh_agent = \"ssh -o BatchMode=yes\"\ninterfaces = \"eth0,10.0.0.0/8\"\n");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->launch.placement.hosts, (std::vector<std::string>{"n1:4", "n2"}));
  EXPECT_EQ(ParseAfterHead("[launch]\nhostfile = \"h\"\n")->launch.placement.hostfile, "/base/h");
  EXPECT_THAT(ErrorsAfterHead("[launch]\nhosts = [\"n1\", \"n2:0\"]\n"),
              ElementsAre(HasSubstr("5: launch.hosts[1]: \"n2:0\" does not say how many")));
  EXPECT_THAT(ErrorsAfterHead("[launch]\nhosts = [\"n1\", \"n1:2\"]\n"),
              ElementsAre(HasSubstr("5: launch.hosts: \"n1\" is named twice")));
  EXPECT_THAT(ErrorsAfterHead("[launch]\nhosts = [\"n1\"]\nhostfile = \"h\"\n"),
              ElementsAre(HasSubstr("launch.hostfile: both name the hosts")));
  for (const char* key : {"rsh_agent", "interfaces", "transports", "coordinator_address"}) {
    for (const char* text : {"a; reboot", "$(reboot)", "`x`", "-x", "a|b", "a\\\"b"}) {
      const auto errors =
          ErrorsAfterHead(std::string("[launch]\n") + key + " = \"" + text + "\"\n");
      EXPECT_THAT(errors, ElementsAre(HasSubstr("holds a character that is not allowed there")))
          << key << " " << text;
    }
  }
}

TEST(JobSpec, ATemperatureIsOneOverAWholeNumber) {
  EXPECT_THAT(ErrorsAfterHead("[eval]\ntemperature = 0.4\n"),
              ElementsAre("5: eval.temperature: 0.4 is not 1/n for a whole number n; choose "
                          "0.3333333333333333 or 0.5"));
  for (const char* good : {"1", "0.5", "0.3333333", "0.2", "0.05", "0.01"}) {
    EXPECT_TRUE(ParseAfterHead("[eval]\ntemperature = " + std::string(good)).ok()) << good;
  }
}

TEST(JobSpec, AllErrorsAreReportedByLineAndAContradictionOfAWrongValueIsNot) {
  EXPECT_THAT(ErrorsAfterHead("[train]\nsteps = 0\nwarmup_steps = 2000\nbatsh = 2\n[model]\n"
                              "alpha = 3.0\n"),
              ElementsAre(HasSubstr("5: train.steps: 0 is out of range"),
                          HasSubstr("7: train.batsh: unknown key; did you mean \"batch\"?"),
                          HasSubstr("9: model.alpha: 3.0 is out of range")));
}

}  // namespace
}  // namespace halcyon::jobs
