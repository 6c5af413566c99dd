#include "base/file_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/temp_dir.h"

namespace halcyon {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;

std::string NameOf(const std::string& start) {
  const auto kind = RecogniseFileKind(start);
  return kind ? std::string(kind->name) : "";
}

// First bytes as the formats' own documents give them.
TEST(FileKind, KnownFirstBytesAreNamed) {
  const std::pair<std::string, const char*> cases[] = {
      {"\x1f\x8b\x08\x00\x00\x00\x00\x00"s, "gzip"},
      {"\x28\xb5\x2f\xfd\x04\x00"s, "Zstandard"},
      {"\xfd"
       "7zXZ\x00\x00\x04"s,
       "xz"},
      {"BZh91AY&SY\x12"s, "bzip2"},
      {"PK\x03\x04\x14\x00"s, "zip"},
      {"PAR1\x15\x04"s, "Parquet"},
      {"\xff\xfeh\x00i\x00"s, "UTF-16"},
      {"\xfe\xff\x00h\x00i"s, "UTF-16"},
      {"\xff\xfe\x00\x00h\x00\x00\x00"s, "UTF-32"},
      {"\x00\x00\xfe\xff\x00\x00\x00h"s, "UTF-32"},
      {"version https://git-lfs.example/spec/v1\noid sha256:0\n"s, "Git LFS"},
      {"<!DOCTYPE html>\n<html>"s, "HTML"},
      {"\xEF\xBB\xBF \n<HTML lang=\"en\">"s, "HTML"},
      {"\x93NUMPY\x01\x00"s, "NumPy"},
      {"%PDF-1.7"s, "PDF"},
      {"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}"s, "safetensors"},
      {"name"s + std::string(253, '\0') + "ustar", "tar"}};
  for (const auto& [start, name] : cases) EXPECT_THAT(NameOf(start), HasSubstr(name)) << name;
}

TEST(FileKind, TextIsNotTakenForAnythingElse) {
  for (const std::string text :
       {"", "a", "BZh and more", "PK machine guns", "PAR1 is a name", "BM", "{\"text\": 1}",
        "version 2 of the text", "\xEF\xBB\xBFtext", "<p>a paragraph</p>", "%PD", "7z", "\n\n\n",
        "\x1f\x8b, ids of two bytes"}) {
    EXPECT_EQ(NameOf(text), "") << text;
  }
}

TEST(FileKind, OnlyHtmlMayBeText) {
  EXPECT_TRUE(RecogniseFileKind("<html>")->may_be_text);
  EXPECT_FALSE(RecogniseFileKind("\x1f\x8b\x08")->may_be_text);
}

TEST(FileKind, OfAFile) {
  const testing::TempDir dir;
  Env& env = *Env::Posix();
  const std::string path = dir.Path("a");
  ASSERT_TRUE(WriteFileAtomically(env, path, "%PDF-1.7 ...").ok());
  EXPECT_EQ((*RecogniseFileKind(env, path))->name, "a PDF document");
  ASSERT_TRUE(WriteFileAtomically(env, path, "").ok());
  EXPECT_FALSE(RecogniseFileKind(env, path)->has_value());
  EXPECT_TRUE(absl::IsNotFound(RecogniseFileKind(env, dir.Path("none")).status()));
}

TEST(FileKind, ExplainsAnErrorOnlyWhereItIsKnown) {
  const absl::Status error = DataLoss("the header claims 9 bytes");
  EXPECT_EQ(ExplainByFileKind(error, "text", "weights"), error);
  const absl::Status explained = ExplainByFileKind(error, "\x1f\x8b\x08", "weights");
  EXPECT_TRUE(absl::IsDataLoss(explained));
  EXPECT_EQ(MessageOf(explained),
            "is a gzip file, not weights; unpack it (gunzip) and name the result (the header "
            "claims 9 bytes)");
  EXPECT_TRUE(ExplainByFileKind(absl::OkStatus(), "\x1f\x8b\x08", "weights").ok());
  EXPECT_EQ(ExplainByFileKind(error, "PK\x03\x04", "weights", "a zip archive"), error);
}

}  // namespace
}  // namespace halcyon
