#include "storage/copies/host_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <vector>

#include "tests/storage/copies/copies_fixture.h"

namespace halcyon::storage {
namespace {

using ::testing::HasSubstr;

class HostCopyTest : public CopiesTest {
 protected:
  HostCopyTest() { Build(kShards); }

  std::shared_ptr<const HostCopy> Take() {
    auto copy = TakeCopy(Generation(), options_);
    EXPECT_TRUE(copy.ok()) << copy.status();
    return copy.value_or(nullptr);
  }
  absl::Status TryTake() { return TakeCopy(Generation(), options_).status(); }

  // Another generation: equal files, and a member in the manifest that no reader knows.
  std::string AnotherGeneration(const std::string& name) {
    std::string dir = dir_.Path(name);
    std::filesystem::copy(Generation(), dir);
    std::string manifest = Read(JoinPath(dir, kManifestName));
    manifest.insert(manifest.find('{') + 1, "\"name\": \"" + name + "\",");
    Overwrite(JoinPath(dir, kManifestName), manifest);
    return dir;
  }
  void RemoveSource() {
    for (const std::string& sst : FilesEnding(Generation(), ".sst")) std::filesystem::remove(sst);
  }
  // So much is free, less what the copies take.
  void LeaveFree(uint64_t bytes) {
    options_.free_room = [this, bytes](const std::string&) -> absl::StatusOr<DiskRoom> {
      uint64_t taken = 0;
      for (const std::string& path : FilesOfCopies()) taken += std::filesystem::file_size(path);
      return DiskRoom{bytes - taken, 1000};
    };
  }
  static void SetUsed(const std::string& dir, time_t seconds) {
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    EXPECT_EQ(utimensat(AT_FDCWD, JoinPath(dir, "use").c_str(), times, 0), 0);
  }
  static uint64_t BytesOf(const HostCopy& copy) {
    uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(copy.generation())) {
      bytes += entry.file_size();
    }
    return bytes;
  }
};

TEST_F(HostCopyTest, HoldsWhatTheGenerationHolds) {
  const auto copy = Take();
  EXPECT_TRUE(copy->dir().starts_with(options_.folder + "/halcyon-")) << copy->dir();
  EXPECT_GT(pieces_, 0);
  RemoveSource();
  EXPECT_EQ(ReadAll(copy), "");
  const auto reader = CacheReader::Open(copy->generation(), kDataset);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE((*reader)->Verify().ok());
}

TEST_F(HostCopyTest, IsMadeOnceForAllThatWantIt) {
  const std::string dir = Take()->dir();
  RemoveSource();
  pieces_ = 0;
  const auto first = Take(), second = Take();
  EXPECT_EQ(first->dir(), dir);
  EXPECT_EQ(second->dir(), dir);
  EXPECT_EQ(pieces_, 0);
}

TEST_F(HostCopyTest, ADamagedSourceIsNotCopied) {
  const std::string sst = FilesEnding(Generation(), ".sst").at(0);
  FlipBit(sst, 100);
  const absl::Status damaged = TryTake();
  EXPECT_TRUE(absl::IsDataLoss(damaged)) << damaged;
  EXPECT_THAT(MessageOf(damaged), HasSubstr(sst + ": has "));
  EXPECT_TRUE(FilesOfCopies().empty());
  FlipBit(sst, 100);
  EXPECT_EQ(ReadAll(Take()), "");
  Truncate(FilesEnding(Generation(), ".sst").at(0), 1);
  EXPECT_EQ(ReadAll(Take()), "") << "a copy does not depend on what it was made of";
}

TEST_F(HostCopyTest, ADamagedCopyIsMadeAgain) {
  const auto used = Take();
  const std::string manifest = JoinPath(used->generation(), kManifestName);
  const std::vector<std::function<void()>> damages = {
      [&] { Truncate(SstOf(*used), 1); },
      [&] { std::filesystem::remove(SstOf(*used)); },
      [&] { FlipBit(JoinPath(used->generation(), "extents"), 60); },
      [&] { FlipBit(manifest, 5); },
      [&] { Truncate(manifest, 1); },
      [&] { std::filesystem::remove(manifest); },
      [&] {
        std::filesystem::remove(manifest);
        Overwrite(JoinPath(used->generation(), "000009.sst.tmp"), "the beginning of a file");
      },
  };
  for (size_t i = 0; i < damages.size(); ++i) {
    SCOPED_TRACE(i);
    damages[i]();
    pieces_ = 0;
    EXPECT_EQ(ReadAll(Take()), "");
    EXPECT_GT(pieces_, 0);
    EXPECT_TRUE(FilesEnding(used->generation(), ".tmp").empty());
  }
}

TEST_F(HostCopyTest, WhatADamagedCopyDoesNotGiveComesFromTheGeneration) {
  const auto copy = Take();
  const auto reader = OpenCopied(copy, Generation(), kDataset);
  ASSERT_TRUE(reader.ok()) << reader.status();
  // The second page of the first extent.
  const std::string second = PagesOf(0).at({0, Split::kTrain, PageKind::kTokens, 1});
  const size_t at = Read(SstOf(*copy)).find(second);
  ASSERT_NE(at, std::string::npos);
  FlipBit(SstOf(*copy), at + second.size() - 1);
  // Each page comes once, though the second fails while the first was taken from the copy.
  std::vector<std::string> pages;
  const PageKey first{0, Split::kTrain, PageKind::kTokens, 0};
  const absl::Status read = (*reader)->Visit(first, 3, [&](const PageKey& key, auto value) {
    EXPECT_EQ(value, PagesOf(0).at(key));
    pages.emplace_back(value);
    return absl::OkStatus();
  });
  EXPECT_TRUE(read.ok()) << read;
  EXPECT_EQ(pages.size(), 3u);
  EXPECT_EQ(ReadAll(**reader), "");
  EXPECT_TRUE(FilesOfCopies().empty()) << "the copy was discarded";
  EXPECT_EQ(ReadAll(Take()), "");
  EXPECT_FALSE(FilesOfCopies().empty()) << "and is made again";
}

TEST_F(HostCopyTest, ErrorsThatAreNotTheCopysAreTheCallers) {
  const auto reader = OpenCopied(Take(), Generation(), kDataset);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const PageKey first{0, Split::kTrain, PageKind::kTokens, 0};
  const auto refuse = [](const PageKey&, std::string_view) { return absl::AbortedError("no"); };
  EXPECT_TRUE(absl::IsAborted((*reader)->Visit(first, 3, refuse)));
  EXPECT_TRUE(absl::IsNotFound((*reader)->Get({0, Split::kTrain, PageKind::kTokens, 9}).status()));
  EXPECT_FALSE(FilesOfCopies().empty());
}

TEST_F(HostCopyTest, ACopyThatCannotBeOpenedIsDiscarded) {
  const auto copy = Take();
  std::filesystem::remove(SstOf(*copy));
  EXPECT_EQ(ReadAll(copy), "");
  EXPECT_TRUE(FilesOfCopies().empty());
}

TEST_F(HostCopyTest, IsNotMadeWhereThereIsNoRoom) {
  const uint64_t bytes = BytesOf(*Take());
  std::filesystem::remove_all(options_.folder);
  std::filesystem::create_directory(options_.folder);
  LeaveFree(bytes + kCopyRoomLeftBytes - 1);
  pieces_ = 0;
  const absl::Status full = TryTake();
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_THAT(MessageOf(full), HasSubstr("No space left on device: 1024 MiB are free, a copy of"));
  EXPECT_EQ(pieces_, 0);
  LeaveFree(bytes + kCopyRoomLeftBytes);
  EXPECT_EQ(ReadAll(Take()), "");
}

TEST_F(HostCopyTest, ADiskThatFillsMeanwhileEndsIt) {
  options_.free_room = [this](const std::string&) -> absl::StatusOr<DiskRoom> {
    return DiskRoom{FilesOfCopies().empty() ? uint64_t{1} << 40 : kCopyRoomLeftBytes, 1000};
  };
  EXPECT_TRUE(absl::IsResourceExhausted(TryTake()));
  EXPECT_GT(pieces_, 0);
  EXPECT_TRUE(FilesOfCopies().empty());
}

TEST_F(HostCopyTest, RoomIsMadeOfCopiesThatNobodyUses) {
  const auto take = [&](const std::string& generation) {
    auto copy = TakeCopy(generation, options_);
    EXPECT_TRUE(copy.ok()) << copy.status();
    return copy.value_or(nullptr);
  };
  const std::string a = AnotherGeneration("a"), b = AnotherGeneration("b"),
                    c = AnotherGeneration("c");
  const auto used = take(a);
  const std::string dir_b = take(b)->dir(), dir_c = take(c)->dir();
  SetUsed(used->dir(), 1000);  // the longest ago, but it is in use
  SetUsed(dir_b, 3000);
  SetUsed(dir_c, 2000);
  const uint64_t bytes = BytesOf(*used) + 16;
  LeaveFree(3 * bytes + kCopyRoomLeftBytes);
  const auto another = take(Generation());
  EXPECT_EQ(ReadAll(another), "");
  EXPECT_FALSE(std::filesystem::exists(dir_c));
  EXPECT_TRUE(std::filesystem::exists(dir_b));
  EXPECT_TRUE(std::filesystem::exists(used->dir()));
  // Nothing is removed when all that could be would not do.
  LeaveFree(2 * bytes + kCopyRoomLeftBytes);
  EXPECT_TRUE(absl::IsResourceExhausted(TakeCopy(AnotherGeneration("d"), options_).status()));
  EXPECT_TRUE(std::filesystem::exists(dir_b));
}

TEST_F(HostCopyTest, WhatAKilledProcessLeftGoesBeforeWholeCopies) {
  const std::string whole = (*TakeCopy(AnotherGeneration("a"), options_))->dir();
  const std::string torn = Take()->dir();
  SetUsed(whole, 1000);
  SetUsed(torn, 2000);
  std::filesystem::remove(torn + "/generation/" + kManifestName);
  LeaveFree(2 * BytesOf(HostCopy(whole, nullptr)) + kCopyRoomLeftBytes + 32);
  EXPECT_TRUE(TakeCopy(AnotherGeneration("b"), options_).ok());
  EXPECT_FALSE(std::filesystem::exists(torn));
  EXPECT_TRUE(std::filesystem::exists(whole));
}

TEST_F(HostCopyTest, StopsWhenItIsTold) {
  options_.stops = [this] { return pieces_ >= 2; };
  EXPECT_TRUE(absl::IsAborted(TryTake()));
  EXPECT_EQ(pieces_, 2);
  EXPECT_TRUE(FilesOfCopies().empty());
  options_.stops = [] { return false; };
  EXPECT_EQ(ReadAll(Take()), "");
}

// As the process that copies: this test holds its lock.
class WaitingTest : public HostCopyTest {
 protected:
  WaitingTest() {
    dir_of_copy_ = Take()->dir();
    std::filesystem::remove_all(dir_of_copy_ + "/generation");
    copying_ = *FileLock::TryAcquire(dir_of_copy_ + "/copying", FileLock::Mode::kExclusive);
    options_.clock = &clock_;
    pieces_ = 0;
  }

  std::string dir_of_copy_;
  std::unique_ptr<FileLock> copying_;
  SimulatedClock clock_;
};

TEST_F(WaitingTest, GoesOnWhenTheCopyIsWhole) {
  int asked = 0;
  options_.stops = [&] {
    // Its time tells that the other has gone on.
    if (++asked == 3) {
      EXPECT_EQ(utimensat(AT_FDCWD, (dir_of_copy_ + "/copying").c_str(), nullptr, 0), 0);
    }
    if (asked == 5) std::filesystem::copy(Generation(), dir_of_copy_ + "/generation");
    return false;
  };
  EXPECT_EQ(ReadAll(Take()), "");
  EXPECT_EQ(asked, 5);
  EXPECT_EQ(pieces_, 2) << "once for its coming, once for its going on";
}

TEST_F(WaitingTest, CopiesItselfWhenTheOtherWasKilled) {
  options_.stops = [&] {
    copying_ = nullptr;
    return false;
  };
  EXPECT_EQ(ReadAll(Take()), "");
  EXPECT_GT(pieces_, 2);
}

TEST_F(WaitingTest, DoesNotRepeatWhatTheOtherCouldNotDo) {
  options_.stops = [&] {
    Overwrite(dir_of_copy_ + "/failed", "the disk is full");
    copying_ = nullptr;
    return false;
  };
  const absl::Status failed = TryTake();
  EXPECT_TRUE(absl::IsUnavailable(failed)) << failed;
  EXPECT_THAT(MessageOf(failed), HasSubstr("the disk is full"));
  // Who comes later tries.
  options_.stops = [] { return false; };
  EXPECT_EQ(ReadAll(Take()), "");
  EXPECT_FALSE(std::filesystem::exists(dir_of_copy_ + "/failed"));
}

TEST_F(WaitingTest, EndsWhenTheOtherStandsStill) {
  const absl::Status stalled = TryTake();
  EXPECT_TRUE(absl::IsUnavailable(stalled)) << stalled;
  EXPECT_THAT(MessageOf(stalled), HasSubstr("has done nothing for 60 s"));
  EXPECT_GT(clock_.MonotonicMs(), kCopyStalledMs);
}

TEST_F(WaitingTest, StopsWhenItIsTold) {
  options_.stops = [] { return true; };
  EXPECT_TRUE(absl::IsAborted(TryTake()));
}

}  // namespace
}  // namespace halcyon::storage
