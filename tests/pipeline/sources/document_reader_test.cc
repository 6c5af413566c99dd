#include "pipeline/sources/document_reader.h"

#include <filesystem>

#include "tests/pipeline/source_fixture.h"

namespace halcyon::pipeline {
namespace {

using jobs::DataFormat;
using jobs::DocumentRule;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DocumentReaderTest : public SourceTest {
 protected:
  // The documents of one file of these bytes.
  std::vector<std::string> Cut(DocumentRule rule, const std::string& bytes) {
    data_.documents = rule;
    data_.sources.clear();
    Write("a.txt", bytes);
    return Documents();
  }
  void WriteJson(const std::string& lines) {
    data_.format = DataFormat::kJsonl;
    Write("a.jsonl", lines);
  }
};

TEST_F(DocumentReaderTest, AFileIsOneDocument) {
  EXPECT_THAT(Cut(DocumentRule::kFile, "\n one\n\ntwo  \n\n"), ElementsAre("\n one\n\ntwo  "));
  EXPECT_THAT(Cut(DocumentRule::kFile, "no newline"), ElementsAre("no newline"));
}

TEST_F(DocumentReaderTest, LinesThatAreNotBlank) {
  EXPECT_THAT(Cut(DocumentRule::kLines, "one\n\n \t\n  two \nthree"),
              ElementsAre("one", "  two ", "three"));
  EXPECT_THAT(Cut(DocumentRule::kLines, " \none\r\n\r\ntwo\r\n \r\n"), ElementsAre("one", "two"));
}

TEST_F(DocumentReaderTest, ParagraphsBetweenBlankLines) {
  EXPECT_THAT(Cut(DocumentRule::kParagraphs, "\n\none\n  more\n \t \n\n two\nend\n"),
              ElementsAre("one\n  more", " two\nend"));
  EXPECT_THAT(Cut(DocumentRule::kParagraphs, "one\r\nmore\r\n\r\ntwo\r\n"),
              ElementsAre("one\r\nmore", "two"));
}

TEST_F(DocumentReaderTest, EntriesStartAtAnUnindentedLineAfterABlankOne) {
  EXPECT_THAT(Cut(DocumentRule::kEntries,
                  "\n\nA\n   first\n\n   second\nB is not one\n \t\nB\n\tof b\n\n\nC\n"),
              ElementsAre("A\n   first\n\n   second\nB is not one\n \t", "B\n\tof b", "C"));
  EXPECT_THAT(Cut(DocumentRule::kEntries, "A\r\n  a\r\n\r\n  b\r\n\r\nB\r\n"),
              ElementsAre("A\r\n  a\r\n\r\n  b", "B"));
}

TEST_F(DocumentReaderTest, TextBeforeTheFirstEntryIsADocument) {
  EXPECT_THAT(Cut(DocumentRule::kEntries, "\n  preface\n\n  more\n\nA\n  a\n"),
              ElementsAre("  preface\n\n  more", "A\n  a"));
}

TEST_F(DocumentReaderTest, ByteOrderMarksAreDroppedAtTheStartOfFilesOnly) {
  EXPECT_THAT(Cut(DocumentRule::kLines, "\uFEFFone\n\uFEFFtwo\n"), ElementsAre("one", "\uFEFFtwo"));
  EXPECT_EQ(counts_.invalid_utf8, 0u);
}

TEST_F(DocumentReaderTest, InvalidUtf8IsReplacedAndCounted) {
  EXPECT_THAT(Cut(DocumentRule::kLines, "fine\nbad \xFF\xC3 here\nfine \u00E9\nbad \xE2\x82\n"),
              ElementsAre("fine", "bad \uFFFD\uFFFD here", "fine \u00E9", "bad \uFFFD"));
  EXPECT_EQ(counts_.documents, 4u);
  EXPECT_EQ(counts_.invalid_utf8, 3u);
  EXPECT_EQ(counts_.invalid_documents, 2u);
  EXPECT_EQ(counts_.bytes, 4u + 15u + 7u + 7u);
}

TEST_F(DocumentReaderTest, InvalidUtf8IsRefusedWithItsPlaceInTheFile) {
  data_.invalid_utf8 = jobs::InvalidUtf8::kRefuse;
  data_.documents = DocumentRule::kLines;
  data_.shard_bytes = 4;  // the bad byte lies in the second shard
  Write("a.txt", "first\nse\xFFond\n");
  EXPECT_EQ(Error().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(Error()), HasSubstr("a.txt: invalid UTF-8 at byte 8: \"\\xFFond\""));
}

TEST_F(DocumentReaderTest, ABadDocumentIsLeftOutAndCountedWhenAsked) {
  data_.bad_documents = jobs::BadDocuments::kSkip;
  WriteJson("{\"text\": \"one\"}\nnonsense\n\n{\"text\": 3}\n{\"text\": \"two\"}\n");
  EXPECT_THAT(Documents(), ElementsAre("one", "two"));
  EXPECT_EQ(counts_.documents, 2u);
  EXPECT_EQ(counts_.bad_documents, 2u);
  EXPECT_THAT(counts_.first_bad,
              HasSubstr("a.jsonl:2: the line is not a JSON object: \"nonsense\""));
  EXPECT_THAT(warnings_,
              HasSubstr("2 documents that cannot be used are left out, the first being"));
}

TEST_F(DocumentReaderTest, TextThatIsNotUtf8IsBadWhenItIsRefused) {
  data_.bad_documents = jobs::BadDocuments::kSkip;
  data_.invalid_utf8 = jobs::InvalidUtf8::kRefuse;
  EXPECT_THAT(Cut(DocumentRule::kLines, "one\nt\xFFwo\nthree\n"), ElementsAre("one", "three"));
  EXPECT_EQ(counts_.bad_documents, 1u);
  EXPECT_EQ(counts_.invalid_utf8, 0u);
  EXPECT_THAT(counts_.first_bad, HasSubstr("a.txt: invalid UTF-8 at byte 5: "));
}

TEST_F(DocumentReaderTest, ManyInvalidSequencesOrZeroBytesGiveAWarning) {
  Cut(DocumentRule::kLines, std::string(998, 'a') + "\xFF\n");
  EXPECT_EQ(warnings_, "");
  Cut(DocumentRule::kLines, std::string(98, 'a') + "\xFF\xFF\n");
  EXPECT_THAT(warnings_, HasSubstr("a.txt, bytes 0 to 101: 2 sequences that are not UTF-8"));
  Cut(DocumentRule::kFile, std::string("t\0e\0x\0t\0", 8));
  EXPECT_THAT(warnings_, HasSubstr("4 zero bytes in 8 bytes of text; is it in another encoding"));
}

TEST_F(DocumentReaderTest, AnErrorOfTheVisitorEndsReading) {
  data_.documents = DocumentRule::kLines;
  Write("a.txt", "one\ntwo\n");
  int visits = 0;
  const auto counts = ReadDocuments(data_, Plan().at(0), [&](std::string_view) {
    ++visits;
    return Aborted("enough");
  });
  EXPECT_TRUE(absl::IsAborted(counts.status()));
  EXPECT_EQ(visits, 1);
}

TEST_F(DocumentReaderTest, AFileThatChangesIsNoticed) {
  Write("a.txt", "some text\n");
  const auto plan = Plan();
  for (const char* bytes : {"some test\n", "some"}) {
    Replace("a.txt", bytes);
    EXPECT_EQ(Read(plan).status().code(), absl::StatusCode::kFailedPrecondition) << bytes;
    EXPECT_THAT(MessageOf(Read(plan).status()), HasSubstr("a.txt: the file changed while the job"));
  }
  std::filesystem::remove(dir_.Path("a.txt"));
  EXPECT_EQ(Read(plan).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DocumentReaderTest, JsonLines) {
  WriteJson(
      "{\"text\": \"one\\nline \\u00e9 \\ud83d\\ude00\"}\n\n"
      "{\"id\": [1, {\"text\": 2}], \"text\": \"two\\n\\n\", \"more\": null}\r\n"
      "{\"text\": \"\"}\n{\"text\": \" \\n\"}\n{\"text\": \"three\"}");
  EXPECT_THAT(Documents(), ElementsAre("one\nline \u00E9 \U0001F600", "two\n\n", "three"));
  EXPECT_EQ(counts_.documents, 3u);
}

TEST_F(DocumentReaderTest, JsonTakesTheFieldThatIsNamed) {
  data_.field = "body";
  WriteJson("{\"text\": \"no\", \"body\": \"yes\"}\n");
  EXPECT_THAT(Documents(), ElementsAre("yes"));
}

TEST_F(DocumentReaderTest, JsonWithInvalidUtf8IsRepaired) {
  WriteJson("{\"text\": \"a\xFFz\"}\n");
  EXPECT_THAT(Documents(), ElementsAre("a\uFFFDz"));
  EXPECT_EQ(counts_.invalid_utf8, 1u);
  EXPECT_EQ(counts_.invalid_documents, 1u);
}

TEST_F(DocumentReaderTest, JsonErrorsNameTheLineOfTheFile) {
  data_.shard_bytes = 8;  // every line is a shard of its own
  WriteJson("{\"text\": \"one\"}\n\n\n{\"text\": \"two\"}\n{\"tex\": \"three\"}\n");
  EXPECT_EQ(Error().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(Error()), HasSubstr("a.jsonl:5: no member \"text\""));
}

TEST_F(DocumentReaderTest, JsonErrorsSayWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"text\": \"one\"", "a.jsonl:1: not JSON: "},
      {"{\"text\": \"one\"} x", ":1: not JSON: "},
      {"{'text': 'one'}", ":1: not JSON: "},
      {"[1, 2]", ":1: the line is not a JSON object"},
      {"17", ":1: the line is not a JSON object"},
      {"{\"text\": 3}", ":1: member \"text\" is not a string"}};
  for (const auto& [line, message] : cases) {
    data_.sources.clear();
    WriteJson(std::string(line) + "\n");
    EXPECT_EQ(Error().code(), absl::StatusCode::kInvalidArgument) << line;
    EXPECT_THAT(MessageOf(Error()), HasSubstr(message)) << line;
  }
}

}  // namespace
}  // namespace halcyon::pipeline
