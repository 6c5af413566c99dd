#include "cluster/arrivals.h"

#include <gtest/gtest.h>

#include "tests/testing/temp_dir.h"

namespace halcyon::cluster {
namespace {

class ArrivalsTest : public ::testing::Test {
 protected:
  std::unique_ptr<ArrivalFiles> Open(uint64_t launch) {
    auto files = std::make_unique<ArrivalFiles>(*Env::Posix());
    EXPECT_TRUE(files->Open(dir_.path() + "/waits", /*incarnation=*/3, launch).ok());
    return files;
  }
  halcyon::testing::TempDir dir_;
};

TEST_F(ArrivalsTest, OthersReadTheLastNote) {
  const auto mine = Open(1), others = Open(1);
  EXPECT_EQ(others->NotedBy(2), std::nullopt);
  mine->Note(2, 17);
  EXPECT_EQ(others->NotedBy(2), 17u);
  mine->Note(2, 1234567);
  EXPECT_EQ(others->NotedBy(2), 1234567u);
  EXPECT_EQ(others->NotedBy(1), std::nullopt);
}

TEST_F(ArrivalsTest, NotesOfAnotherLaunchDoNotCount) {
  Open(1)->Note(0, 17);
  EXPECT_EQ(Open(11)->NotedBy(0), std::nullopt);
  EXPECT_EQ(Open(1)->NotedBy(0), 17u);
}

TEST_F(ArrivalsTest, NothingIsNotedBeforeOpen) {
  ArrivalFiles files(*Env::Posix());
  files.Note(0, 1);
  EXPECT_EQ(files.NotedBy(0), std::nullopt);
}

TEST_F(ArrivalsTest, WhoHasNotedANumberOrALaterOneIsThere) {
  const auto files = Open(1);
  constexpr char kUnknown[] = "a rank of its group is gone or has not started it";
  EXPECT_EQ(WhoIsMissing(nullptr, 4, 17), kUnknown);
  EXPECT_EQ(WhoIsMissing(files.get(), 4, 17), kUnknown) << "nobody has noted anything";
  files->Note(0, 17);
  files->Note(1, 18);
  files->Note(2, 16);
  EXPECT_EQ(WhoIsMissing(files.get(), 4, 17), "ranks 2, 3 have not come to it");
  files->Note(3, 17);
  EXPECT_EQ(WhoIsMissing(files.get(), 4, 17), "rank 2 has not come to it");
  files->Note(2, 17);
  EXPECT_EQ(WhoIsMissing(files.get(), 4, 17),
            "all ranks have come to it, so the network between them does not work");
}

}  // namespace
}  // namespace halcyon::cluster
