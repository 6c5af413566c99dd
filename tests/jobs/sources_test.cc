// [[data.source]]: names, paths and weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "jobs/heldout_parts.h"
#include "jobs/job_spec.h"
#include "jobs/mixture.h"
#include "jobs/stage_identity.h"
#include "jobs/stages.h"

namespace halcyon::jobs {
namespace {

using ::testing::AllOf;
using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kTwo[] = R"(name = "a"
[[data.source]]
name = "web"
paths = ["w1.txt", "w2.txt"]
weight = 3
[[data.source]]
name = "books"
paths = ["b.txt"]
weight = 1.0
[train]
steps = 100
)";

absl::StatusOr<JobSpec> Parse(const std::string& toml) {
  return ParseJobSpec(toml, "job.toml", "/base", /*check_files=*/false);
}
std::string Error(const std::string& tables) {
  return MessageOf(Parse("name = \"a\"\n" + tables).status());
}

// Tens of thousands of files that a folder stands for stand one by one in the resolved job file.
TEST(Sources, ThereMayBeVeryMany) {
  constexpr size_t kFiles = 20'000;
  std::vector<std::string> paths;
  for (size_t i = 0; i < kFiles; ++i) paths.push_back("/texts/" + std::to_string(i) + ".txt");
  JobSpec spec;
  spec.name = "many";
  spec.data.sources = paths;
  auto again = Parse(ToToml(spec));
  ASSERT_TRUE(again.ok()) << MessageOf(again.status()).substr(0, 200);
  EXPECT_EQ(again->data.sources, paths);
  spec.data.sources.clear();
  spec.data.source = {{"a", paths, 1}, {"b", {"/b.txt"}, 2}};
  again = Parse(ToToml(spec));
  ASSERT_TRUE(again.ok()) << MessageOf(again.status()).substr(0, 200);
  EXPECT_EQ(again->data, spec.data);
}

TEST(Sources, AreReadInOrderAndGiveShares) {
  const auto spec = Parse(kTwo);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_THAT(spec->data.Files(), ElementsAre("/base/w1.txt", "/base/w2.txt", "/base/b.txt"));
  EXPECT_THAT(spec->data.source, ElementsAre(SourceSpec{"web", {"/base/w1.txt", "/base/w2.txt"}, 3},
                                             SourceSpec{"books", {"/base/b.txt"}, 1}));
  EXPECT_THAT(SharesOf(spec->data), ElementsAre(DoubleEq(0.75), DoubleEq(0.25)));
}

TEST(Sources, TheResolvedFileReadsBackTheSame) {
  const auto spec = Parse(kTwo);
  ASSERT_TRUE(spec.ok());
  const std::string toml = ToToml(*spec);
  EXPECT_THAT(toml, HasSubstr("source = [{ name = \"web\", paths = [\"/base/w1.txt\", "
                              "\"/base/w2.txt\"], weight = 3.0 }, {"));
  const auto again = Parse(toml);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, *spec);
}

TEST(Sources, ThoseThatAreHeldOutComeLast) {
  const std::string toml = "name = \"a\"\n[data]\nsources = [\"t\"]\n";
  const auto without = Parse(toml), with = Parse(toml + "heldout_sources = [\"h\"]\n");
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_THAT(with->data.Files(), ElementsAre("/base/t", "/base/h"));
  EXPECT_EQ(*Parse(ToToml(*with)), *with);
  EXPECT_THAT(HeldoutPartsOf(with->data),
              ElementsAre(HeldoutPart{"sources", 1}, HeldoutPart{"heldout_sources", 1}));
  EXPECT_THAT(HeldoutPartsOf(without->data), IsEmpty());
  EXPECT_THAT(HeldoutPartsOf(Parse(kTwo)->data),
              ElementsAre(HeldoutPart{"web", 2}, HeldoutPart{"books", 1}));
  // The same bytes as a further source are other tokens.
  const auto further = Parse("name = \"a\"\n[data]\nsources = [\"t\", \"h\"]\n");
  const auto tokens_of = [](const JobSpec& spec) {
    return IdentityOf(StageKind::kTokens, spec, {"1", "2"}, {{StageKind::kTokenizer, "t"}}, "")
        .Fingerprint();
  };
  EXPECT_NE(tokens_of(*with), tokens_of(*further));
}

TEST(Sources, HeldOutOnesAreEnoughToEvaluateOn) {
  const std::string rest = "heldout = 0\n[eval]\nevery = 10\n";
  const std::string toml = "name = \"a\"\n[data]\nsources = [\"t\"]\n";
  EXPECT_THAT(MessageOf(Parse(toml + rest).status()), HasSubstr("data.heldout_sources"));
  EXPECT_TRUE(Parse(toml + "heldout_sources = [\"h\"]\n" + rest).ok());
  EXPECT_THAT(Error("[data]\nheldout_sources = [\"h\"]\n[[data.source]]\nname = "
                    "\"heldout_sources\"\npaths = [\"a\"]\nweight = 1\n"),
              HasSubstr("job.toml:5: data.source[0].name: is the name of data.heldout_sources"));
}

TEST(Sources, OneAloneHasNoShare) {
  const auto spec =
      Parse("name = \"a\"\n[[data.source]]\nname = \"x\"\npaths = [\"x\"]\nweight = 2\n");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_THAT(SharesOf(spec->data), IsEmpty());
}

TEST(Sources, MistakesAreNamedWithTheirPlace) {
  EXPECT_THAT(Error("[data]\nsources = [\"t\"]\nsource = [{ name = \"x\", paths = [\"y\"] }]\n"),
              HasSubstr("job.toml:3: data.sources: both name the text"));
  EXPECT_THAT(Error("[data]\nsource = []\n"), HasSubstr("job.toml:3: data.source: is empty"));
  EXPECT_THAT(Error("[data]\nsource = \"t\"\n"),
              HasSubstr("job.toml:3: data.source: expected an array of tables, found the string"));
  EXPECT_THAT(Error("[[data.source]]\n"),
              AllOf(HasSubstr("job.toml:2: data.source[0].name: missing; write name = \"web\""),
                    HasSubstr("job.toml:2: data.source[0].paths: missing"),
                    HasSubstr("job.toml:2: data.source[0].weight: missing; write weight = 1.0")));
  EXPECT_THAT(Error("[[data.source]]\nname = \"a b\"\npaths = []\n"),
              AllOf(HasSubstr("job.toml:3: data.source[0].name: \"a b\" does not serve as a name"),
                    HasSubstr("job.toml:4: data.source[0].paths: is empty")));
  EXPECT_THAT(Error("[[data.source]]\nname = \"x\"\npath = \"y\"\n"),
              HasSubstr("job.toml:4: data.source[0].path: unknown key; did you mean \"paths\"?"));
  EXPECT_THAT(Error("[[data.source]]\nname = \"x\"\npaths = [\"y\", \"y\"]\n"),
              HasSubstr("job.toml:4: data.source[0].paths[1]: /base/y is named twice"));
  EXPECT_THAT(Error("[[data.source]]\nname = \"x\"\npaths = [\"y\"]\nweight = -1\n"),
              HasSubstr("job.toml:5: data.source[0].weight: -1.0 is out of range"));
  EXPECT_THAT(Error("[[data.source]]\nname = \"x\"\npaths = [\"y\"]\nweight = 0\n"),
              HasSubstr("job.toml:5: data.source[0].weight: 0.0 is out of range"));
}

TEST(Sources, NamesAndFilesAreTheirOwnAndSharesLargeEnough) {
  const auto tables = [](const std::string& first, const std::string& second) {
    return "[[data.source]]\nname = \"x\"\npaths = [\"x\"]\n" + first + "[[data.source]]\n" +
           second;
  };
  EXPECT_THAT(Error(tables("", "name = \"x\"\npaths = [\"y\"]\n")),
              HasSubstr("job.toml:6: data.source[1].name: \"x\" names another source, too"));
  EXPECT_THAT(Error(tables("", "name = \"y\"\npaths = [\"x\"]\n")),
              HasSubstr("job.toml:7: data.source[1].paths[0]: /base/x is named twice"));
  EXPECT_THAT(
      Error(tables("weight = 1\n", "name = \"y\"\npaths = [\"y\"]\nweight = 1e-5\n")),
      HasSubstr(
          "job.toml:9: data.source[1].weight: is 0.001 % of all weights, less than one window"));
}

TEST(Sources, WeightsEnterTheModelsFingerprintOnly) {
  const auto spec = Parse(kTwo);
  ASSERT_TRUE(spec.ok());
  JobSpec other = *spec, scaled = *spec, renamed = *spec;
  other.data.source[0].weight = 2;
  for (SourceSpec& source : scaled.data.source) source.weight *= 4;
  renamed.data.source[0].name = "net";
  const std::vector<std::string> digests = {"1", "2", "3"};
  const auto fingerprint = [&](const JobSpec& of, StageKind kind) {
    std::map<StageKind, std::string> inputs;
    for (const StageKind input : InputsOf(kind, of)) inputs[input] = "d";
    return IdentityOf(kind, of, digests, inputs, "").Fingerprint();
  };
  for (const StageKind kind : StagesOf(*spec)) {
    const bool is_model = kind == StageKind::kModel;
    EXPECT_EQ(fingerprint(*spec, kind) != fingerprint(other, kind), is_model) << StageName(kind);
    EXPECT_EQ(fingerprint(*spec, kind), fingerprint(scaled, kind)) << StageName(kind);
    EXPECT_EQ(fingerprint(*spec, kind), fingerprint(renamed, kind)) << StageName(kind);
  }
}

}  // namespace
}  // namespace halcyon::jobs
