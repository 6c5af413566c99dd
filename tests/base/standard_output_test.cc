#include "base/standard_output.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file_descriptor.h"
#include "tests/testing/temp_dir.h"

namespace halcyon {
namespace {

using ::testing::HasSubstr;

TEST(StandardOutputTest, WhatIsPrintedIsThereAtOnce) {
  testing::TempDir dir;
  const auto file = FileDescriptor::Open(dir.Path("out"), O_WRONLY | O_CREAT);
  StandardOutput output(file->get());
  output.Print("one\n");
  EXPECT_EQ(*Env::Posix()->ReadFile(dir.Path("out")), "one\n");
  output.Print("\x1b[2J");
  EXPECT_EQ(*Env::Posix()->ReadFile(dir.Path("out")), "one\n\x1b[2J") << "a file gets the bytes";
  EXPECT_TRUE(output.Finish().ok());
}

TEST(StandardOutputTest, AFullDiskIsReportedOnceAndTheRestDropped) {
  const auto full = FileDescriptor::Open("/dev/full", O_WRONLY);
  StandardOutput output(full->get());
  output.Print("");
  EXPECT_TRUE(output.status().ok());
  output.Print("text");
  output.Print("more");
  const absl::Status status = output.Finish();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(MessageOf(status), "cannot write standard output: No space left on device");
  EXPECT_TRUE(output.Finish().ok()) << "the next command starts anew";
}

TEST(StandardOutputTest, AClosedOneIsAnError) {
  const auto unwritable = FileDescriptor::Open("/dev/null", O_RDONLY);
  StandardOutput output(unwritable->get());
  EXPECT_FALSE(output.IsOpen());
  output.Print("text");
  const absl::Status status = output.Finish();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("closed"));
  const auto writable = FileDescriptor::Open("/dev/null", O_WRONLY);
  EXPECT_TRUE(StandardOutput(writable->get()).IsOpen());
}

TEST(StandardOutputTest, AReaderThatClosedItsPipeIsNoError) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  const FileDescriptor writing(ends[1]);
  const auto before = signal(SIGPIPE, SIG_IGN);
  StandardOutput output(writing.get());
  output.Print("text");
  EXPECT_TRUE(absl::IsUnavailable(output.status())) << output.status();
  EXPECT_TRUE(output.Finish().ok());
  signal(SIGPIPE, before);
}

TEST(StandardOutputTest, ATerminalGetsNoControlCharacters) {
  const FileDescriptor controller(posix_openpt(O_RDWR | O_NOCTTY));
  ASSERT_TRUE(controller.valid());
  ASSERT_EQ(grantpt(controller.get()), 0);
  ASSERT_EQ(unlockpt(controller.get()), 0);
  const auto terminal = FileDescriptor::Open(ptsname(controller.get()), O_RDWR | O_NOCTTY);
  ASSERT_TRUE(terminal.ok()) << terminal.status();
  StandardOutput output(terminal->get());
  output.Print("a\x1b[2Jb\xC2");
  output.Print("\x9B");
  char seen[64] = "";
  const ssize_t bytes = read(controller.get(), seen, sizeof(seen));
  ASSERT_GT(bytes, 0);
  EXPECT_THAT(std::string(seen, static_cast<size_t>(bytes)), HasSubstr("a\\x1b[2Jb"));
}

}  // namespace
}  // namespace halcyon
