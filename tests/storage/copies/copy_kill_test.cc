// Processes that copy a generation at the same time, and kill -9 at every step of a copy.
#include <set>
#include <sstream>
#include <thread>

#include "tests/storage/copies/copies_fixture.h"
#include "tests/storage/in_child.h"

namespace halcyon::storage {
namespace {

class CopyKillTest : public CopiesTest {
 protected:
  // RocksDB's threads do not survive a fork: only children use it.
  CopyKillTest() : CopiesTest(Begin::kLater) {
    const Child built = InChild([&] {
      Build(kShards);
      return std::string();
    });
    EXPECT_EQ(built.said, "");
  }

  std::string Copy() {
    const auto copy = TakeCopy(Generation(), options_);
    return copy.ok() ? ReadAll(*copy) : copy.status().ToString();
  }
};

TEST_F(CopyKillTest, AtEveryStepTheNextProcessCopiesAgain) {
  const std::string list = dir_.Path("points");
  ASSERT_EQ(InChild([&] { return Copy(); }, "HALCYON_FAULT_LIST", list).said, "");
  const size_t files = FilesOfCopies().size();
  std::istringstream lines(Read(list));
  std::set<std::string> points;
  for (std::string line; std::getline(lines, line);) points.insert(line);
  EXPECT_EQ(points.size(), 2 + files - 1);  // a point for each file but the manifest
  for (const std::string& point : points) {
    SCOPED_TRACE(point);
    std::filesystem::remove_all(options_.folder);
    std::filesystem::create_directory(options_.folder);
    EXPECT_TRUE(InChild([&] { return Copy(); }, "HALCYON_FAULT_POINT", point).killed);
    EXPECT_EQ(InChild([&] { return Copy(); }).said, "");
    EXPECT_EQ(FilesOfCopies().size(), files);
  }
}

TEST_F(CopyKillTest, OfSeveralProcessesOneCopies) {
  const std::string list = dir_.Path("points");
  std::vector<std::string> said(4);
  {
    std::vector<std::jthread> threads;
    for (std::string& answer : said) {
      threads.emplace_back(
          [&] { answer = InChild([&] { return Copy(); }, "HALCYON_FAULT_LIST", list).said; });
    }
  }
  for (const std::string& answer : said) EXPECT_EQ(answer, "");
  const std::string points = Read(list);
  const std::string begun = "copy begun\n";
  EXPECT_NE(points.find(begun), std::string::npos);
  EXPECT_EQ(points.find(begun), points.rfind(begun));
}

}  // namespace
}  // namespace halcyon::storage
