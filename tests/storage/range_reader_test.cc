#include "storage/range_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/storage/damage.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::storage {
namespace {

class RangeReaderTest : public ::testing::Test {
 protected:
  // 300,000 bytes that tell their file and place.
  std::string Write(int file) {
    std::string bytes;
    for (int i = 0; bytes.size() < 300'000; ++i) {
      bytes += std::to_string(file) + ":" + std::to_string(i) + " ";
    }
    bytes.resize(300'000);
    const std::string path = dir_.Path(std::to_string(file));
    Overwrite(path, bytes);
    paths_.push_back(path);
    return bytes;
  }
  // Out of the page cache.
  static void Drop(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY);
    EXPECT_EQ(fdatasync(fd), 0);
    EXPECT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
  }

  testing::TempDir dir_;
  std::vector<std::string> paths_;
};

TEST_F(RangeReaderTest, RangesAreTheFilesBytesInThePageCacheOrNot) {
  const std::string bytes = Write(0);
  for (const bool cold : {false, true}) {
    for (const auto& [offset, size] : std::vector<std::pair<uint64_t, size_t>>{{0, 0},
                                                                               {0, 1},
                                                                               {0, 300'000},
                                                                               {4095, 2},
                                                                               {4096, 4096},
                                                                               {123'457, 41'060},
                                                                               {300'000, 0}}) {
      if (cold) Drop(paths_[0]);
      RangeReader reader(paths_, 4);
      const auto range = reader.Read(0, offset, size);
      ASSERT_TRUE(range.ok()) << range.status();
      EXPECT_EQ(range->bytes, std::string_view(bytes).substr(offset, size))
          << offset << " " << size;
    }
  }
}

// In the page cache nothing is copied.
TEST_F(RangeReaderTest, WhatIsInThePageCacheIsUsedWhereItLies) {
  Write(0);
  RangeReader reader(paths_, 4);
  const auto first = reader.Read(0, 5000, 100), second = reader.Read(0, 5000, 100);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->copy, nullptr);
  EXPECT_EQ(first->bytes.data(), second->bytes.data());
}

TEST_F(RangeReaderTest, BeyondTheEndIsDataLoss) {
  Write(0);
  RangeReader reader(paths_, 4);
  EXPECT_TRUE(absl::IsDataLoss(reader.Read(0, 299'999, 2).status()));
  EXPECT_TRUE(absl::IsDataLoss(reader.Read(0, 300'001, 0).status()));
  EXPECT_TRUE(absl::IsDataLoss(reader.Read(0, ~uint64_t{0}, 2).status()));
  EXPECT_TRUE(absl::IsDataLoss(reader.Read(1, 0, 1).status()));
}

TEST_F(RangeReaderTest, AFileThatWasCutOrRemovedIsDataLoss) {
  Write(0);
  Write(1);
  RangeReader reader(paths_, 4);
  Truncate(paths_[0], 250'000);
  EXPECT_TRUE(absl::IsDataLoss(reader.Read(0, 200'000, 1000).status()));
  EXPECT_TRUE(reader.Read(0, 49'000, 1000).ok());
  std::filesystem::remove(paths_[1]);
  EXPECT_TRUE(absl::IsDataLoss(reader.Read(1, 0, 1).status()));
}

// Fewer files may be open than are read, by four threads; ranges outlive their file's turn.
TEST_F(RangeReaderTest, ThreadsReadMoreFilesThanAreOpen) {
  std::vector<std::string> bytes;
  for (int file = 0; file < 5; ++file) bytes.push_back(Write(file));
  RangeReader reader(paths_, 2);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (uint32_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::vector<RangeReader::Range> held;
      for (uint32_t i = 0; i < 500; ++i) {
        const uint32_t file = (i * (thread + 1)) % 5;
        auto range = reader.Read(file, 1000 * (i % 250), 500);
        if (!range.ok() ||
            range->bytes != std::string_view(bytes[file]).substr(1000 * (i % 250), 500)) {
          ++wrong;
          continue;
        }
        held.push_back(std::move(*range));
      }
      for (const auto& range : held) wrong += range.bytes.size() == 500 ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace halcyon::storage
