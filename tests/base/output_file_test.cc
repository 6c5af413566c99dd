#include "base/output_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include "tests/testing/temp_dir.h"

namespace halcyon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class OutputFileTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return dir_.Path(name); }
  std::string Read(const std::string& name) { return *Env::Posix()->ReadFile(Path(name)); }
  std::vector<std::string> Names() { return *Env::Posix()->ListDir(dir_.path()); }
  mode_t ModeOf(const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info.st_mode;
  }

  testing::TempDir dir_;
};

TEST_F(OutputFileTest, AFileIsReplacedWhenItIsWhole) {
  ASSERT_TRUE(WriteOutputFile(Path("a"), "old").ok());
  ASSERT_EQ(chmod(Path("a").c_str(), 0640), 0);
  auto file = *OutputFile::Open(Path("a"));
  ASSERT_TRUE(file->Append("ne").ok());
  ASSERT_TRUE(file->Append("w").ok());
  EXPECT_EQ(Read("a"), "old");
  ASSERT_TRUE(file->Close().ok());
  EXPECT_EQ(Read("a"), "new");
  EXPECT_EQ(ModeOf(Path("a")), S_IFREG | 0640u);
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(OutputFileTest, NothingIsLeftOfAnOutputThatWasGivenUp) {
  ASSERT_TRUE(WriteOutputFile(Path("a"), "old").ok());
  for (const char* name : {"a", "new"}) {
    const auto file = *OutputFile::Open(Path(name));
    ASSERT_TRUE(file->Append("half").ok());
  }
  EXPECT_EQ(Read("a"), "old");
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(OutputFileTest, ALinkStaysAndItsTargetIsWritten) {
  ASSERT_EQ(mkdir(Path("d").c_str(), 0755), 0);
  ASSERT_EQ(symlink("d/second", Path("first").c_str()), 0);
  ASSERT_EQ(symlink("../target", Path("d/second").c_str()), 0);
  for (const char* bytes : {"made", "replaced"}) {
    ASSERT_TRUE(WriteOutputFile(Path("first"), bytes).ok());
    EXPECT_EQ(Read("target"), bytes);
    EXPECT_TRUE(S_ISLNK(ModeOf(Path("first"))));
    EXPECT_TRUE(S_ISLNK(ModeOf(Path("d/second"))));
    EXPECT_TRUE(S_ISREG(ModeOf(Path("target"))));
  }
  ASSERT_EQ(symlink("loop", Path("loop").c_str()), 0);
  EXPECT_THAT(MessageOf(WriteOutputFile(Path("loop"), "x")), HasSubstr(Path("loop")));
}

TEST_F(OutputFileTest, AFifoIsWrittenInPlace) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  std::string got;
  std::jthread reader([&] { got = *Env::Posix()->ReadFile(Path("fifo")); });
  EXPECT_TRUE(WriteOutputFile(Path("fifo"), "through").ok());
  reader.join();
  EXPECT_EQ(got, "through");
  EXPECT_TRUE(S_ISFIFO(ModeOf(Path("fifo"))));
}

TEST_F(OutputFileTest, ADeviceIsWrittenInPlace) {
  ASSERT_EQ(symlink("/dev/full", Path("full").c_str()), 0);
  ASSERT_EQ(symlink("/dev/null", Path("null").c_str()), 0);
  EXPECT_TRUE(WriteOutputFile(Path("null"), "x").ok());
  const absl::Status status = WriteOutputFile(Path("full"), "x");
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(MessageOf(status), "cannot write " + Path("full") + ": No space left on device");
  EXPECT_TRUE(S_ISCHR(ModeOf("/dev/null")));
  EXPECT_TRUE(S_ISCHR(ModeOf("/dev/full")));
  EXPECT_THAT(Names(), ElementsAre("full", "null"));
}

TEST_F(OutputFileTest, ADescriptorIsWrittenWhereItStands) {
  auto file = *FileDescriptor::Open(Path("a"), O_WRONLY | O_CREAT);
  ASSERT_EQ(WriteAll(file.get(), "before "), 0);
  ASSERT_TRUE(WriteOutputFile("/dev/fd/" + std::to_string(file.get()), "between").ok());
  ASSERT_TRUE(WriteOutputFile("/proc/self/fd/" + std::to_string(file.get()), " and").ok());
  ASSERT_EQ(WriteAll(file.get(), " after"), 0);
  EXPECT_EQ(Read("a"), "before between and after");
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(OutputFileTest, WhatCannotBeWrittenIsNamed) {
  const absl::Status folder = WriteOutputFile(dir_.path(), "x");
  EXPECT_TRUE(absl::IsInvalidArgument(folder));
  EXPECT_THAT(MessageOf(folder), HasSubstr(dir_.path() + ": is a folder"));
  const absl::Status missing = WriteOutputFile(Path("no/file"), "x");
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_THAT(MessageOf(missing), HasSubstr("cannot create " + Path("no/file")));
  const FileDescriptor listener(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = ""};
  Path("s").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_THAT(MessageOf(WriteOutputFile(Path("s"), "x")), HasSubstr("cannot open " + Path("s")));
  EXPECT_TRUE(S_ISSOCK(ModeOf(Path("s"))));
}

TEST_F(OutputFileTest, ALongNameIsNoObstacle) {
  const std::string name(255, 'n');  // the longest that file systems take
  ASSERT_TRUE(WriteOutputFile(Path(name), "x").ok());
  EXPECT_THAT(Names(), ElementsAre(name));
}

}  // namespace
}  // namespace halcyon
