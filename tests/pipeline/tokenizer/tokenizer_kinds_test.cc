// Files of other kinds than tokenizer.json: recognised by their content, refused with the reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/env.h"
#include "pipeline/tokenizer.h"
#include "tests/pipeline/tokenizer/naive_bpe.h"
#include "tests/testing/mutate.h"

namespace halcyon::pipeline {
namespace {

using ::testing::HasSubstr;

std::string DataFile(const std::string& name) {
  const auto bytes = Env::Posix()->ReadFile(std::string(HALCYON_SOURCE_DIR) +
                                            "/tests/pipeline/data/tokenizers/" + name);
  HALCYON_CHECK(bytes.ok());
  return *bytes;
}

std::string Error(std::string_view bytes, const std::string& pattern = "") {
  const auto tokenizer = Tokenizer::FromBytes(bytes, "file", pattern);
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
  return MessageOf(tokenizer.status());
}

// Ranks of the bytes from "a" on, then those of `more`.
std::string Ranks(const std::string& more) { return "YQ== 0\nYg== 1\nYw== 2\n" + more; }

TEST(TokenizerKinds, OtherFilesAreNamed) {
  EXPECT_THAT(Error(""), HasSubstr("is neither a tokenizer.json, nor ranks of tiktoken, nor"));
  EXPECT_THAT(Error("some text\n"), HasSubstr("is neither a tokenizer.json"));
  EXPECT_THAT(Error("#version: 0.2\na b\n"), HasSubstr("is a list of merges"));
  EXPECT_THAT(Error("\x1f\x8b\x08 and more"), HasSubstr("gzip"));
  EXPECT_THAT(Error("{\"a\": 0}"), HasSubstr("model: missing; is it a tokenizer.json?"));
}

TEST(TokenizerKinds, RanksNeedAPattern) {
  const std::string file = DataFile("tiktoken.tiktoken");
  EXPECT_THAT(Error(file), HasSubstr("give the pattern, by its name"));
  EXPECT_THAT(Error(file, "(a"), HasSubstr("pre-tokenizer pattern (a"));
  EXPECT_THAT(Error(file, "cl100k_bse"),
              HasSubstr("no pre-tokenizer pattern \"cl100k_bse\": take"));
  const auto tokenizer = Tokenizer::FromBytes(file, "file", "cl100k_base");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ(Encode(*tokenizer, " fortune").size(), 1u);  // a whole piece that no merge leads to
  EXPECT_EQ((*tokenizer)->Bytes((*tokenizer)->end_of_text()), kEndOfText);
}

TEST(TokenizerKinds, DamagedRanksAreRefused) {
  EXPECT_THAT(Error(Ranks("YQ= 3\n"), "gpt2"), HasSubstr("line 4: \"YQ= 3\" is not a token and"));
  EXPECT_THAT(Error(Ranks("ZA==\n"), "gpt2"), HasSubstr("line 4"));
  EXPECT_THAT(Error(Ranks("ZA== 1\n"), "gpt2"), HasSubstr("line 4: two tokens have the rank 1"));
  EXPECT_THAT(Error(Ranks("ZA== 99999999\n"), "gpt2"), HasSubstr("line 4: the rank is too large"));
  EXPECT_THAT(Error(Ranks("YQ== 3\n"), "gpt2"), HasSubstr("tokens 0 and 3 are both \"a\""));
  EXPECT_THAT(Error(Ranks(""), "gpt2"), HasSubstr("no token is the byte 0"));
}

TEST(TokenizerKinds, AModelOfSentencePieceSaysHowItSplits) {
  EXPECT_THAT(Error(DataFile("sp_bpe.model"), "gpt2"), HasSubstr("leave out the pattern \"gpt2\""));
}

TEST(TokenizerKinds, StoredFilesOfAnotherVersionAreRefused) {
  EXPECT_THAT(Error("{\"halcyon_tokenizer\": 2}"), HasSubstr("halcyon_tokenizer: a version"));
  EXPECT_THAT(Error("{\"halcyon_tokenizer\": 1, \"kind\": \"x\"}"), HasSubstr("kind: \"x\""));
}

// A damaged model is refused, or what it is taken for encodes and decodes.
TEST(TokenizerKinds, DamagedModelsOfSentencePiece) {
  constexpr uint64_t kMutants = 300;
  const std::string prose = RandomProse(2, 50);
  for (const char* name : {"sp_bpe_rules.model", "sp_unigram_bytes.model"}) {
    const std::string file = DataFile(name);
    uint64_t accepted = 0;
    for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
      const auto tokenizer = Tokenizer::FromBytes(testing::Mutate(file, mutant), "mutant");
      if (!tokenizer.ok()) continue;
      ++accepted;
      EXPECT_TRUE((*tokenizer)->Decode(Encode(*tokenizer, prose)).ok());
    }
    EXPECT_GT(accepted, kMutants / 100);  // a score or a piece that is another one
    EXPECT_LT(accepted, kMutants);
  }
}

}  // namespace
}  // namespace halcyon::pipeline
