#include "coordinator/cli/text_encoding.h"

#include <gtest/gtest.h>

namespace halcyon::coordinator {
namespace {

std::shared_ptr<const pipeline::Tokenizer> SomeTokenizer() {
  auto trainer = pipeline::BpeTrainer::Create({.vocab_size = 270, .pattern = "gpt2"});
  EXPECT_TRUE(trainer.ok()) << trainer.status();
  (*trainer)->Add("the river carries the water to the sea");
  auto tokenizer = (*trainer)->Train();
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *tokenizer;
}

absl::StatusOr<EncodedText> Encode(const std::string& bytes, jobs::DataFormat format,
                                   int64_t threads = 1) {
  return EncodeText(SomeTokenizer(), bytes, format, "text", "in.jsonl", threads);
}

TEST(TextEncodingTest, ATextIsOneDocumentAndComesBackByteForByte) {
  const std::string text = "\n the river\xC3\xA9 <|endoftext|>\r\n\n";
  const auto encoded = Encode(text, jobs::DataFormat::kText);
  ASSERT_TRUE(encoded.ok());
  EXPECT_EQ(encoded->counts, std::vector<uint32_t>{static_cast<uint32_t>(encoded->ids.size())});
  EXPECT_EQ(*SomeTokenizer()->Decode(encoded->ids), text);
}

TEST(TextEncodingTest, InvalidUtf8IsReplacedAndCounted) {
  const auto encoded = Encode(
      "a\xff"
      "b",
      jobs::DataFormat::kText);
  ASSERT_TRUE(encoded.ok());
  EXPECT_EQ(encoded->invalid_utf8, 1u);
  EXPECT_EQ(*SomeTokenizer()->Decode(encoded->ids),
            "a\xEF\xBF\xBD"
            "b");
}

TEST(TextEncodingTest, JsonLinesKeepTheirOrderWhateverTheThreads) {
  std::string lines;
  std::string texts;
  for (int i = 0; i < 1000; ++i) {
    const std::string text = i % 7 == 0 ? "" : "water " + std::to_string(i);
    lines += "{\"id\": " + std::to_string(i) + ", \"text\": \"" + text + "\"}\n";
    if (i % 5 == 0) lines += "  \n";
    texts += text;
  }
  const auto one = Encode(lines, jobs::DataFormat::kJsonl, 1);
  const auto four = Encode(lines, jobs::DataFormat::kJsonl, 4);
  ASSERT_TRUE(one.ok() && four.ok());
  EXPECT_EQ(one->counts.size(), 857u) << "an empty text is no document, as in a job";
  EXPECT_EQ(one->ids, four->ids);
  EXPECT_EQ(one->counts, four->counts);
  EXPECT_EQ(*SomeTokenizer()->Decode(one->ids), texts);
}

TEST(TextEncodingTest, ABadLineIsNamed) {
  for (const std::string bad : {"{\"text\": 3}", "{\"other\": \"x\"}", "not json", "[1]"}) {
    const auto encoded = Encode("{\"text\": \"fine\"}\n\n" + bad + "\n", jobs::DataFormat::kJsonl);
    EXPECT_TRUE(absl::IsInvalidArgument(encoded.status())) << bad;
    EXPECT_TRUE(MessageOf(encoded.status()).starts_with("in.jsonl:3: ")) << encoded.status();
  }
}

// What a job reads from the same file (tests/pipeline/sources/json_lines_test.cc).
TEST(TextEncodingTest, LinesAreReadAsAJobReadsThem) {
  const auto encoded = Encode(
      "\xEF\xBB\xBF{\"text\": \"first\", \"text\": \"the river\\n\", \"id\": 1e999}\r\n"
      "{\"text\": \"\"}\n{\"text\": \" \\n\"}\n{\"text\": \"\\ud83d\"}\n",
      jobs::DataFormat::kJsonl);
  ASSERT_TRUE(encoded.ok()) << encoded.status();
  EXPECT_EQ(encoded->counts.size(), 2u);
  EXPECT_EQ(encoded->invalid_utf8, 1u);
  EXPECT_EQ(*SomeTokenizer()->Decode(encoded->ids), "the river\n\xEF\xBF\xBD");
}

TEST(TextEncodingTest, AnEmptyFileHasNoJsonLine) {
  const auto encoded = Encode("", jobs::DataFormat::kJsonl, 3);
  ASSERT_TRUE(encoded.ok());
  EXPECT_TRUE(encoded->ids.empty());
  EXPECT_TRUE(encoded->counts.empty());
}

}  // namespace
}  // namespace halcyon::coordinator
