#include "coordinator/housekeeping/log_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Texts(const absl::StatusOr<std::vector<LogLine>>& lines) {
  std::vector<std::string> texts;
  EXPECT_TRUE(lines.ok()) << lines.status();
  if (!lines.ok()) return texts;
  for (const LogLine& line : *lines) texts.push_back(line.text);
  return texts;
}

class LogFilesTest : public ::testing::Test {
 protected:
  void Append(const std::string& name, const std::string& text) {
    std::ofstream(dir_.Path(name), std::ios::app) << text;
  }
  LogReader Reader(const std::string& process = "") {
    return LogReader(*Env::Posix(), dir_.path(), process);
  }
  testing::TempDir dir_;
};

TEST_F(LogFilesTest, ProcessesAreMergedByTime) {
  Append("agent-0.log",
         "2026-01-01T00:00:02.000Z info agent-0: second\n"
         "terminate called after throwing\n"
         "2026-01-01T00:00:04.000Z info agent-0: fourth\n");
  Append("coordinator.log",
         "2026-01-01T00:00:01.000Z info coordinator: first\n"
         "2026-01-01T00:00:03.000Z info coordinator: third\n");
  Append("notes.txt", "not a log\n");
  LogReader reader = Reader();
  EXPECT_THAT(*reader.Processes(), ElementsAre("agent-0", "coordinator"));
  EXPECT_THAT(Texts(reader.Next()), ElementsAre("2026-01-01T00:00:01.000Z info coordinator: first",
                                                "2026-01-01T00:00:02.000Z info agent-0: second",
                                                "agent-0: terminate called after throwing",
                                                "2026-01-01T00:00:03.000Z info coordinator: third",
                                                "2026-01-01T00:00:04.000Z info agent-0: fourth"));
}

TEST_F(LogFilesTest, OnlyWhatIsNewAndWholeComesNext) {
  Append("a.log", "one\ntw");
  LogReader reader = Reader();
  EXPECT_THAT(Texts(reader.Next()), ElementsAre("a: one"));
  EXPECT_THAT(Texts(reader.Next()), IsEmpty());
  Append("a.log", "o\n");
  Append("b.log", "new file\n");
  EXPECT_THAT(Texts(reader.Next()), ElementsAre("a: two", "b: new file"));
}

TEST_F(LogFilesTest, AFileThatBecameShorterIsReadAnew) {
  Append("a.log", "a long line\n");
  LogReader reader = Reader();
  EXPECT_THAT(Texts(reader.Next()), ElementsAre("a: a long line"));
  std::ofstream(dir_.Path("a.log"), std::ios::trunc) << "new\n";
  EXPECT_THAT(Texts(reader.Next()), ElementsAre("a: new"));
}

TEST_F(LogFilesTest, OneProcessAlone) {
  Append("a.log", "of a\n");
  Append("ab.log", "of ab\n");
  LogReader reader = Reader("a");
  EXPECT_THAT(Texts(reader.Next()), ElementsAre("a: of a"));
}

}  // namespace
}  // namespace halcyon::coordinator
