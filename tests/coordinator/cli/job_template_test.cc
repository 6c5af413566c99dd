#include "coordinator/cli/job_template.h"

#include <gtest/gtest.h>

namespace halcyon::coordinator {
namespace {

TEST(JobTemplateTest, WritesWhatTwoLinesMean) {
  JobTemplate job{.name = "a", .sources = {"t.txt", "\"odd\".txt"}};
  job.documents = jobs::DocumentRule::kParagraphs;
  job.ranks = 3;
  const auto written = jobs::ParseJobSpec(JobFileText(job), "job.toml", "/base", false);
  ASSERT_TRUE(written.ok()) << written.status() << JobFileText(job);
  auto expected = jobs::ParseJobSpec(
      "name = \"a\"\n[data]\nsources = [\"t.txt\", '\"odd\".txt']\n"
      "documents = \"paragraphs\"\n[launch]\nranks = 3\n",
      "job.toml", "/base", false);
  ASSERT_TRUE(expected.ok()) << expected.status();
  EXPECT_EQ(*written, *expected);
}

TEST(JobTemplateTest, WritesAJobOfIds) {
  JobTemplate job{.name = "a", .sources = {"t.bin"}, .format = jobs::DataFormat::kTokens};
  job.token_type = jobs::TokenType::kUint16;
  job.end_of_document = 50256;
  job.tokenizer.path = "t.json";
  job.tokenizer.pattern = "o200k";
  const auto written = jobs::ParseJobSpec(JobFileText(job), "job.toml", "/base", false);
  ASSERT_TRUE(written.ok()) << written.status() << JobFileText(job);
  auto expected = jobs::ParseJobSpec(
      "name = \"a\"\n[data]\nsources = [\"t.bin\"]\nformat = \"tokens\"\n"
      "token_type = \"uint16\"\nend_of_document = 50256\n[launch]\nranks = 1\n"
      "[tokenizer]\npath = \"t.json\"\npattern = \"o200k\"\n",
      "job.toml", "/base", false);
  ASSERT_TRUE(expected.ok()) << expected.status();
  EXPECT_EQ(*written, *expected);
}

TEST(JobTemplateTest, EveryLineFits) {
  JobTemplate of_ids{.name = "a", .sources = {"t.bin"}, .format = jobs::DataFormat::kTokens};
  of_ids.tokenizer.path = "t.json";
  for (const JobTemplate& job : {JobTemplate{.name = "a", .sources = {"t.txt"}}, of_ids}) {
    const std::string text = JobFileText(job);
    size_t start = 0;
    for (size_t end; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
      EXPECT_LE(end - start, 100u) << text.substr(start, end - start);
    }
    EXPECT_EQ(text.find("\n\n\n"), std::string::npos) << text;
  }
}

TEST(JobTemplateTest, ANameIsMadeOfAnyFolder) {
  EXPECT_EQ(JobNameFrom("novels_2.0"), "novels_2.0");
  EXPECT_EQ(JobNameFrom("my  own text!"), "my-own-text");
  EXPECT_EQ(JobNameFrom(".hidden"), "hidden");
  EXPECT_EQ(JobNameFrom("日本"), "my-job");
  EXPECT_EQ(JobNameFrom(""), "my-job");
  EXPECT_EQ(JobNameFrom(std::string(300, 'x')).size(), 100u);
}

TEST(JobTemplateTest, DocumentsAreWhatThereAreManyOf) {
  const auto repeated = [](const std::string& text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
  };
  using jobs::DocumentRule;
  EXPECT_EQ(GuessDocuments(1, repeated("two\nlines\n \n", 100)), DocumentRule::kParagraphs);
  EXPECT_EQ(GuessDocuments(1, repeated("two\nlines\n\n", 99)), DocumentRule::kLines);
  EXPECT_EQ(GuessDocuments(1, repeated("two\nlines\n\n", 49)), DocumentRule::kFile);
  EXPECT_EQ(GuessDocuments(1, repeated("\n\n\n", 500)), DocumentRule::kFile);
  EXPECT_EQ(GuessDocuments(1, ""), DocumentRule::kFile);
  EXPECT_EQ(GuessDocuments(100, repeated("two\n\n", 500)), DocumentRule::kFile);
}

}  // namespace
}  // namespace halcyon::coordinator
