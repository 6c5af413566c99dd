// The job file itself, and the files that it names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "jobs/job_spec.h"

namespace halcyon::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// A folder with a job file and its sources.
class JobFile : public ::testing::Test {
 protected:
  JobFile() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = ::testing::TempDir() + "halcyon_job_file_" + test->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ + "/texts");
  }
  ~JobFile() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ + "/" + name) << bytes;
  }
  absl::StatusOr<JobSpec> Load() { return LoadJobSpec(folder_ + "/job.toml"); }

  std::string folder_;
};

TEST_F(JobFile, SourcesAreRelativeToItsFolder) {
  Write("texts/a.txt", "text");
  Write("job.toml", "name = \"a\"\ndata.sources = [\"texts/a.txt\"]\n");
  const auto spec = Load();
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->data.sources[0],
            std::filesystem::path(folder_ + "/texts/a.txt").lexically_normal().string());
}

TEST_F(JobFile, AFileOfAnotherKindIsNamed) {
  Write("a.txt", "BZh91AY&SY compressed");
  Write("b.txt", "\xff\xfeh");
  Write("page.txt", "<!doctype html><p>text");
  Write("t.json", "version https://git-lfs.example/spec/v1\n");
  const std::string head =
      "name = \"a\"\n[data]\nsources = [\"a.txt\",\n\"b.txt\",\n\"page.txt\"]\n";
  Write("job.toml", head + "[tokenizer]\npath = \"t.json\"\n");
  const std::string message = MessageOf(Load().status());
  EXPECT_THAT(message, HasSubstr("job.toml:3: data.sources[0]: "));
  EXPECT_THAT(message, HasSubstr("a.txt is a bzip2 file; unpack it"));
  EXPECT_THAT(message, HasSubstr("b.txt is text in UTF-16; convert it"));
  EXPECT_THAT(message, HasSubstr("tokenizer.path: "));
  EXPECT_THAT(message, HasSubstr("t.json is a Git LFS pointer, which only names the file; fetch"));
  EXPECT_THAT(message, ::testing::Not(HasSubstr("page.txt"))) << "HTML may be meant as text";
  Write("job.toml", head + "format = \"jsonl\"\n");
  EXPECT_THAT(MessageOf(Load().status()), HasSubstr("page.txt is a page of HTML"));
}

TEST_F(JobFile, IdsBringTheirIndexAlongAndMayBeginWithAnyBytes) {
  Write("t.json", "{}");
  Write("texts/a.bin", "\xff\xfeh");  // as text in UTF-16 begins
  Write("texts/b.bin", "ids");
  Write("texts/b.idx", "index");
  const std::string rest = "format = \"tokens\"\n[tokenizer]\npath = \"t.json\"\n";
  const auto files = [&](const std::string& sources) {
    Write("job.toml", "name = \"a\"\n[data]\nsources = [" + sources + "]\n" + rest);
    std::vector<std::string> names;
    const auto spec = Load();
    if (!spec.ok()) return std::vector<std::string>{MessageOf(spec.status())};
    for (const std::string& file : spec->data.Files()) {
      names.push_back(std::filesystem::path(file).filename());
    }
    // The resolved file means the same.
    const auto again = ParseJobSpec(ToToml(*spec), "again", folder_, /*check_files=*/true);
    EXPECT_TRUE(again.ok() && *again == *spec) << again.status();
    return names;
  };
  EXPECT_THAT(files("\"texts/b.bin\""), ElementsAre("b.bin", "b.idx"));
  EXPECT_THAT(files("\"texts/b.idx\""), ElementsAre("b.bin", "b.idx"));
  EXPECT_THAT(files("\"texts\""), ElementsAre("a.bin", "b.bin", "b.idx"));
  EXPECT_THAT(files("\"texts/b.bin\", \"texts/b.bin\""),
              ElementsAre(HasSubstr("b.bin is named twice")));
  Write("texts/c.idx", "index");
  EXPECT_THAT(
      files("\"texts/c.idx\""),
      ElementsAre(AllOf(HasSubstr("c.idx is the index of ids in "),
                        HasSubstr("texts/c.bin, which is not there"), HasSubstr("name c.bin"))));
  std::filesystem::remove(folder_ + "/texts/c.idx");
  Write("texts/a.bin", "\x28\xb5\x2f\xfd packed");
  EXPECT_THAT(files("\"texts/a.bin\""), ElementsAre(HasSubstr("a.bin is a Zstandard file")));
}

TEST_F(JobFile, TheHostfileIsReadEarly) {
  Write("a.txt", "text");
  Write("job.toml", "name = \"a\"\ndata.sources = [\"a.txt\"]\nlaunch.hostfile = \"hosts\"\n");
  EXPECT_THAT(MessageOf(Load().status()), HasSubstr("job.toml:3: launch.hostfile: "));
  Write("hosts", "n1 slots=many\n");
  EXPECT_THAT(MessageOf(Load().status()), HasSubstr("job.toml:3: launch.hostfile: "));
  Write("hosts", "n1 slots=2\n");
  EXPECT_TRUE(Load().ok()) << Load().status();
}

TEST_F(JobFile, AFolderWhoseNameIsNotUtf8IsRefused) {
  Write("texts/a.txt", "text");
  const std::string bad = folder_ + "/\xff";
  std::filesystem::create_directories(bad);
  Write("\xff/a.txt", "text");
  Write("\xff/job.toml", "name = \"a\"\ndata.sources = [\"a.txt\"]\n");
  const absl::Status status = LoadJobSpec(bad + "/job.toml").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(MessageOf(status),
              HasSubstr("is not UTF-8 or has a control character; rename the file or folder"));
}

TEST_F(JobFile, AFileOfAFolderMayBeEmpty) {
  Write("texts/a.txt", "text");
  Write("texts/empty.txt", "");
  Write("job.toml", "name = \"a\"\ndata.sources = [\"texts\"]\n");
  EXPECT_TRUE(Load().ok()) << Load().status();
  Write("job.toml", "name = \"a\"\ndata.sources = [\"texts/empty.txt\"]\n");
  EXPECT_THAT(MessageOf(Load().status()), HasSubstr("empty.txt is empty; put text into it"));
}

TEST_F(JobFile, AFileOfAFolderWithAControlCharacterInItsNameIsRefused) {
  Write("texts/a\tb.txt", "text");
  Write("job.toml", "name = \"a\"\ndata.sources = [\"texts\"]\n");
  const absl::Status status = Load().status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(MessageOf(status), HasSubstr("has a control character; rename the file or folder"));
  EXPECT_THAT(MessageOf(status), HasSubstr("the path \"" + folder_ + "/texts/a\\u0009b.txt\" is"));
}

TEST_F(JobFile, EachBadSourceIsReportedAtItsOwnLine) {
  Write("good.txt", "text");
  Write("empty.txt", "");
  Write("job.toml",
        "name = \"a\"\n[data]\nsources = [\n\"missing.txt\",\n\"good.txt\",\n\"empty.txt\",\n"
        "\"texts\",\n]\n[tokenizer]\npath = \"none.json\"\n");
  const absl::Status status = Load().status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  const std::string message = MessageOf(status), file = folder_ + "/job.toml:";
  EXPECT_THAT(message, HasSubstr(file + "4: data.sources[0]: cannot read "));
  EXPECT_THAT(message, HasSubstr("missing.txt: No such file or directory; correct the name"));
  EXPECT_THAT(message, HasSubstr(file + "6: data.sources[2]: "));
  EXPECT_THAT(message, HasSubstr("empty.txt is empty; put text into it or remove it here"));
  EXPECT_THAT(message, HasSubstr(file + "7: data.sources[3]: "));
  EXPECT_THAT(message, HasSubstr("texts is a folder without files"));
  EXPECT_THAT(message, HasSubstr(file + "10: tokenizer.path: cannot read "));
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 3);
}

TEST_F(JobFile, PackedTextIsASourceButNoTokenizer) {
  Write("a.jsonl.gz", "\x1f\x8b\x08 packed");
  Write("b.jsonl.zst", "\x28\xb5\x2f\xfd packed");
  const std::string head =
      "name = \"a\"\n[data]\nformat = \"jsonl\"\nsources = [\"a.jsonl.gz\", \"b.jsonl.zst\"]\n";
  Write("job.toml", head);
  EXPECT_TRUE(Load().ok()) << Load().status();
  Write("job.toml", head + "[tokenizer]\npath = \"a.jsonl.gz\"\n");
  EXPECT_THAT(MessageOf(Load().status()), HasSubstr("tokenizer.path: "));
}

TEST_F(JobFile, SourcesMayBeFoldersAndPatterns) {
  for (const char* name : {"texts/b.txt", "texts/a.txt", "texts/sub/c.txt", "texts/.hidden",
                           "texts/.git/d.txt", "x1.txt", "x2.txt", "x2.text", "y[1].txt"}) {
    std::filesystem::create_directories(std::filesystem::path(folder_ + "/" + name).parent_path());
    Write(name, "text");
  }
  const auto sources = [&](const std::string& list) {
    Write("job.toml", "name = \"a\"\n[data]\nsources = [" + list + "]\n");
    const auto spec = Load();
    std::vector<std::string> names;
    if (!spec.ok()) return std::vector<std::string>{MessageOf(spec.status())};
    for (const std::string& source : spec->data.sources) {
      names.push_back(std::filesystem::path(source).lexically_relative(
          std::filesystem::absolute(folder_).lexically_normal()));
    }
    return names;
  };
  EXPECT_THAT(sources("\"x2.txt\", \"texts\""),
              ElementsAre("x2.txt", "texts/a.txt", "texts/b.txt", "texts/sub/c.txt"));
  EXPECT_THAT(sources("\"texts/\""), SizeIs(3));
  EXPECT_THAT(sources("\"x?.t*xt\""), ElementsAre("x1.txt", "x2.text", "x2.txt"));
  EXPECT_THAT(sources("\"y[1].txt\""), ElementsAre("y[1].txt")) << "a file with that very name";
  EXPECT_THAT(sources("\"*\""), SizeIs(5)) << "job.toml too, but no folders";
  EXPECT_THAT(sources("\"z*.txt\""), ElementsAre(HasSubstr("z*.txt matches no file; correct")));
  EXPECT_THAT(sources("\"x1.txt\", \"x*.txt\""), ElementsAre(HasSubstr("x1.txt is named twice")));
}

TEST_F(JobFile, TheFileItselfMustBeThere) {
  EXPECT_TRUE(absl::IsNotFound(Load().status()));
  EXPECT_THAT(MessageOf(Load().status()), HasSubstr("job.toml: No such file or directory"));
  EXPECT_TRUE(absl::IsInvalidArgument(LoadJobSpec(folder_).status()));
}

}  // namespace
}  // namespace halcyon::jobs
