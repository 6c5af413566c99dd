// What a file of ids says of itself.
#include "pipeline/token_files/token_layout.h"

#include "tests/pipeline/token_files/token_fixture.h"

namespace halcyon::pipeline {
namespace {

using jobs::TokenType;
using ::testing::HasSubstr;

class TokenLayoutTest : public TokenFileTest {
 protected:
  static absl::StatusOr<TokenLayout> Parse(const std::string& bytes,
                                           TokenType type = TokenType::kAuto) {
    return ParseTokenLayout("f", bytes.substr(0, kLayoutBytes), bytes.size(), type);
  }
  static std::string Error(const std::string& bytes, TokenType type = TokenType::kAuto) {
    const auto layout = Parse(bytes, type);
    EXPECT_EQ(layout.status().code(), absl::StatusCode::kInvalidArgument);
    return MessageOf(layout.status());
  }
};

TEST_F(TokenLayoutTest, EveryFormIsRecognised) {
  struct Case {
    std::string bytes;
    TokenType type;
    IdType expected;
    std::string kind;
  };
  const Ids ids = {1, 2, 300};
  const Case cases[] = {
      {NpyOf("<u2", ids), TokenType::kAuto, {2, false}, "a NumPy array of uint16"},
      {NpyOf("<i2", ids), TokenType::kAuto, {2, true}, "a NumPy array of int16"},
      {NpyOf("<u4", ids), TokenType::kUint16, {4, false}, "a NumPy array of uint32"},
      {NpyOf("<i4", ids), TokenType::kAuto, {4, true}, "a NumPy array of int32"},
      {NpyOf("<u8", ids), TokenType::kAuto, {8, false}, "a NumPy array of uint64"},
      {NpyOf("<i8", ids), TokenType::kAuto, {8, true}, "a NumPy array of int64"},
      {LlmcOf(20240520, 1, ids, 2), TokenType::kAuto, {2, false}, "llm.c's form, uint16"},
      {LlmcOf(20240801, 7, ids, 4), TokenType::kAuto, {4, false}, "llm.c's form, uint32"},
      {Integers(ids, 2), TokenType::kUint16, {2, false}, "uint16 without header"},
      {Integers(ids, 4), TokenType::kUint32, {4, false}, "uint32 without header"},
  };
  for (const Case& one : cases) {
    const auto layout = Parse(one.bytes, one.type);
    ASSERT_TRUE(layout.ok()) << one.kind << layout.status();
    EXPECT_EQ(layout->kind, one.kind);
    EXPECT_EQ(layout->type, one.expected) << one.kind;
    EXPECT_EQ(layout->count, 3u) << one.kind;
    EXPECT_EQ(one.bytes.substr(layout->begin), Integers(ids, one.expected.bytes)) << one.kind;
  }
}

TEST_F(TokenLayoutTest, WhatIsNoFileOfIdsIsRefusedByName) {
  EXPECT_THAT(Error(NpyOf("<f4", {1})), HasSubstr("f: an array of type '<f4' and shape (1,)"));
  EXPECT_THAT(Error(NpyOf(">u2", {1})), HasSubstr("an array of type '>u2'"));
  std::string square = NpyOf("<u2", {1, 2, 3, 4});
  square.replace(square.find("(4,)"), 4, "(2,2");
  EXPECT_THAT(Error(square), HasSubstr("f: the header of the NumPy file is damaged"));
  square.replace(square.find("(2,2, }"), 7, "(2, 2)}");
  EXPECT_THAT(Error(square), HasSubstr("shape (2, 2); one dimension"));
  EXPECT_THAT(Error("ids"), HasSubstr("f: no header says how its ids are stored"));
  EXPECT_THAT(Error("PK\3\4 more"), HasSubstr("f: is a zip archive, not ids; unpack it"));
  EXPECT_THAT(Error(LlmcOf(20240520, 2, {1}, 2)), HasSubstr("no header says"));
  // The file of its evaluations.
  EXPECT_THAT(Error(LlmcOf(20240522, 1, {1}, 2)), HasSubstr("no header says"));
}

TEST_F(TokenLayoutTest, AFileOfAnotherSizeThanItsHeaderSaysIsRefused) {
  const std::string npy = NpyOf("<u2", {1, 2, 3}), llmc = LlmcOf(20240520, 1, {1, 2, 3}, 2);
  EXPECT_THAT(Error(npy.substr(0, npy.size() - 1)), HasSubstr("5 bytes of data for 3 ids"));
  EXPECT_THAT(Error(npy + "xx"), HasSubstr("8 bytes of data for 3 ids of 2 bytes"));
  EXPECT_THAT(Error(llmc.substr(0, llmc.size() - 2)), HasSubstr("4 bytes of data for 3 ids"));

  EXPECT_THAT(Error(Integers({1}, 2) + "x", TokenType::kUint16),
              HasSubstr("f: 3 bytes are no whole number of ids of 2 bytes"));
}

TEST_F(TokenLayoutTest, IdsAndIndexThatDoNotFitAreRefused) {
  WriteIndexed("a", Integers({1, 2, 3}, 2), MegatronIndexOf(8, 2, {{2}, {1}}));
  const auto layout = ReadTokenLayout(*Env::Posix(), dir_.Path("a.bin"), TokenType::kAuto);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->kind, "Megatron's form, uint16");
  EXPECT_EQ(layout->count, 3u);
  Replace("a.bin", Integers({1, 2, 3, 4}, 2));
  EXPECT_THAT(PlanError(),
              AllOf(HasSubstr("a.bin has 8 bytes, but by its index"), HasSubstr("a.idx it has 6")));
}

}  // namespace
}  // namespace halcyon::pipeline
