#include "base/file_descriptor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "tests/testing/temp_dir.h"

namespace halcyon {
namespace {

using ::testing::HasSubstr;

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(FileDescriptorTest, ClosesOnceAndMoves) {
  int fd = -1;
  {
    auto file = *FileDescriptor::Open("/dev/null", O_RDONLY);
    fd = file.get();
    EXPECT_TRUE(IsOpen(fd));
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    const FileDescriptor moved = std::move(file);
    EXPECT_FALSE(file.valid());
    EXPECT_EQ(moved.get(), fd);
  }
  EXPECT_FALSE(IsOpen(fd));
  FileDescriptor one = *FileDescriptor::Open("/dev/null", O_RDONLY);
  ASSERT_TRUE(one.Close("cannot close").ok());
  EXPECT_FALSE(one.valid());
}

TEST(FileDescriptorTest, SaysWhatCannotBeOpened) {
  const auto missing = FileDescriptor::Open("/no/such", O_RDONLY);
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_EQ(MessageOf(missing.status()), "cannot open /no/such: No such file or directory");
  EXPECT_THAT(MessageOf(FileDescriptor::Open("/no/such", O_WRONLY | O_CREAT).status()),
              HasSubstr("cannot create /no/such"));
}

TEST(FileDescriptorTest, WritesAllIntoAFullPipeThatDoesNotBlock) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
  ASSERT_EQ(fcntl(ends[0], F_SETFL, 0), 0);
  const std::string bytes(1 << 20, 'x');
  std::string got;
  std::jthread reader([&] {
    char buffer[4096];
    for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof(buffer))) > 0;) got.append(buffer, n);
  });
  EXPECT_EQ(WriteAll(ends[1], bytes), 0);
  close(ends[1]);
  reader.join();
  close(ends[0]);
  EXPECT_EQ(got, bytes);
  EXPECT_EQ(WriteAll(-1, "x"), EBADF);
}

// In a process of its own, started without the three.
int OpenWithoutDescriptors() {
  for (const int fd : {0, 1, 2}) close(fd);
  if (!OpenMissingStandardDescriptors().ok()) return 1;
  for (const int fd : {0, 1, 2}) {
    if (!IsOpen(fd)) return 2;
    if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0) return 3;  // a child is to have it, too
  }
  if (open("/dev/null", O_RDONLY) <= 2) return 4;
  if (WriteAll(STDOUT_FILENO, "x") != EBADF) return 5;
  if (WriteAll(STDERR_FILENO, "x") != 0) return 6;
  return 0;
}

TEST(FileDescriptorTest, MissingStandardDescriptorsAreOpened) {
  EXPECT_EXIT(_exit(OpenWithoutDescriptors()), ::testing::ExitedWithCode(0), "");
}

TEST(FileDescriptorTest, StandardDescriptorsThatAreThereStay) {
  const auto test = [] {
    const FileDescriptor file = *FileDescriptor::Open("/dev/full", O_WRONLY);
    dup2(file.get(), STDOUT_FILENO);
    return OpenMissingStandardDescriptors().ok() ? WriteAll(STDOUT_FILENO, "x") : 0;
  };
  EXPECT_EXIT(_exit(test()), ::testing::ExitedWithCode(ENOSPC), "");
}

}  // namespace
}  // namespace halcyon
