// The ingest log: what it keeps, and what it says of a crash and of damage.
#include "storage/ingest_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fuzz/ingest_log_parser.h"
#include "tests/storage/damage.h"
#include "tests/storage/power_cut_env.h"
#include "tests/testing/faulty_env.h"
#include "tests/testing/mutate.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/unreadable_env.h"

namespace halcyon::storage {
namespace {

using ::testing::HasSubstr;

const std::string kDataset = std::string(62, 'a') + "01";

HeldFile FileOf(uint32_t first, uint32_t shards = 1, const std::string& name = "s") {
  HeldFile file{name + std::to_string(first) + ".sst", 100 + first, "0123abcd", {}};
  for (uint32_t i = 0; i < shards; ++i) {
    const std::string digest = std::string(63, 'd') + std::to_string((first + i) % 10);
    file.shards.push_back({first + i, (uint64_t{7} << 32) + first + i, 3, digest});
  }
  return file;
}

// "0-2 m0.sst, 4 s4.sst": what the log holds.
std::string Text(const IngestHistory& history) {
  std::string text;
  for (const auto& [first, file] : history.files) {
    EXPECT_EQ(first, file.first());
    text += (text.empty() ? "" : ", ") + std::to_string(first) +
            (file.shards.size() > 1 ? "-" + std::to_string(file.last()) : "") + " " + file.name;
  }
  return text;
}

class IngestLogTest : public ::testing::Test {
 protected:
  IngestLog Begin(uint64_t claim) {
    auto before = ReadIngestLog(env_, dir_.path(), claim);
    IngestLog log(env_, dir_.path(), claim, before.ok() ? *before : IngestHistory{kDataset, {}});
    EXPECT_TRUE(log.Begin().ok());
    return log;
  }
  std::string Now() {
    const auto history = ReadIngestLog(env_, dir_.path(), 99);
    return history.ok() ? Text(*history) : history.status().ToString();
  }
  std::string Path(int number) { return dir_.Path("log/0000000" + std::to_string(number)); }

  testing::TempDir dir_;
  Env& env_ = *Env::Posix();
};

TEST_F(IngestLogTest, EachRecordIsThereForTheNextClaim) {
  EXPECT_TRUE(absl::IsNotFound(ReadIngestLog(env_, dir_.path(), 1).status()));
  {
    IngestLog log = Begin(1);
    EXPECT_EQ(Now(), "");
    ASSERT_TRUE(log.Ingest({FileOf(4), FileOf(0), FileOf(1)}).ok());
    ASSERT_TRUE(log.Ingest({FileOf(2)}).ok());
    EXPECT_EQ(Now(), "0 s0.sst, 1 s1.sst, 2 s2.sst, 4 s4.sst");
    EXPECT_EQ(log.FileOf(2)->name, "s2.sst");
    EXPECT_EQ(log.FileOf(3), nullptr);
    EXPECT_EQ(log.FileOf(5), nullptr);
    ASSERT_TRUE(log.Merge(FileOf(0, 3, "m")).ok());
    EXPECT_EQ(Now(), "0-2 m0.sst, 4 s4.sst");
    EXPECT_EQ(log.FileOf(2)->name, "m0.sst");
  }
  IngestLog log = Begin(2);
  EXPECT_EQ(Text(log.history()), "0-2 m0.sst, 4 s4.sst");
  EXPECT_EQ(log.FileOf(1)->shards, FileOf(0, 3).shards);
  EXPECT_EQ(log.history().dataset, kDataset);
  ASSERT_TRUE(log.Undo(0).ok());
  ASSERT_TRUE(log.Ingest({FileOf(1)}).ok());
  EXPECT_EQ(Now(), "1 s1.sst, 4 s4.sst");
}

TEST_F(IngestLogTest, TheLogOfALaterClaimIsNotWritten) {
  IngestLog slow = Begin(3);
  IngestLog next = Begin(4);
  ASSERT_TRUE(next.Ingest({FileOf(0)}).ok());
  ASSERT_TRUE(slow.Ingest({FileOf(1)}).ok()) << "it does not know yet";
  EXPECT_EQ(Now(), "0 s0.sst");
  EXPECT_TRUE(absl::IsAborted(ReadIngestLog(env_, dir_.path(), 3).status()));
}

TEST_F(IngestLogTest, ARecordIsThereWholeOrNotAtAll) {
  {
    IngestLog log = Begin(1);
    ASSERT_TRUE(log.Ingest({FileOf(0)}).ok());
    ASSERT_TRUE(log.Ingest({FileOf(1), FileOf(2)}).ok());
  }
  const std::string whole = Read(Path(1));
  const size_t last = whole.rfind('\n', whole.size() - 2) + 1;
  for (size_t size = last; size < whole.size(); ++size) {
    const auto history = ParseIngestLog(whole.substr(0, size));
    ASSERT_TRUE(history.ok()) << history.status();
    // The line end says nothing that the checksum does not.
    EXPECT_EQ(history->files.size(), size + 1 < whole.size() ? 1u : 3u) << size;
  }
}

TEST_F(IngestLogTest, EveryFlippedBitIsDamageOrACutOffEnd) {
  {
    IngestLog log = Begin(1);
    ASSERT_TRUE(log.Ingest({FileOf(0)}).ok());
    ASSERT_TRUE(log.Ingest({FileOf(1)}).ok());
    ASSERT_TRUE(log.Merge(FileOf(0, 2, "m")).ok());
  }
  const std::string whole = Read(Path(1));
  const size_t last = whole.rfind('\n', whole.size() - 2) + 1;
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string text = whole;
    text[at] = static_cast<char>(text[at] ^ (1 << at % 8));
    const auto history = ParseIngestLog(text);
    if (history.ok()) {
      // The line end before the last record joins the two lines.
      EXPECT_GE(at, last - 1);
      EXPECT_THAT(Text(*history), ::testing::AnyOf("0 s0.sst, 1 s1.sst", "0 s0.sst", "0-1 m0.sst"));
    } else {
      EXPECT_TRUE(absl::IsDataLoss(history.status())) << at;
      EXPECT_THAT(MessageOf(history.status()), HasSubstr("line "));
    }
  }
}

TEST_F(IngestLogTest, WhatDoesNotFitIsDamage) {
  const nlohmann::json snapshot = {{"type", "snapshot"},
                                   {"format", 1},
                                   {"dataset", kDataset},
                                   {"files", nlohmann::json::array()}};
  const auto parse = [&](nlohmann::json record) {
    return ParseIngestLog(RecordLine(snapshot) + RecordLine(record) + RecordLine(snapshot));
  };
  const nlohmann::json shard = {1, 1, std::string(64, 'd')};
  // `shards`: how many
  const auto ingest = [&](const std::string& name, uint64_t first, int shards) -> nlohmann::json {
    nlohmann::json file = {name, 1, "0123abcd", first};
    for (int i = 0; i < shards; ++i) file.insert(file.end(), shard.begin(), shard.end());
    return {{"type", "ingest"}, {"files", {file}}};
  };
  EXPECT_TRUE(parse(ingest("a.sst", 1, 2)).ok());
  for (const char* name : {"", "../a.sst", "/a.sst", "a", "a.sst/"}) {
    EXPECT_TRUE(absl::IsDataLoss(parse(ingest(name, 1, 1)).status())) << name;
  }
  EXPECT_TRUE(absl::IsDataLoss(parse(ingest("a.sst", 1, 0)).status()));
  EXPECT_TRUE(parse(ingest("a.sst", (uint64_t{1} << 32) - 2, 2)).ok());
  EXPECT_TRUE(absl::IsDataLoss(parse(ingest("a.sst", (uint64_t{1} << 32) - 2, 3)).status()));
  EXPECT_TRUE(absl::IsDataLoss(parse(ingest("a.sst", uint64_t{1} << 63, 1)).status()));
  for (const size_t member : {0, 1, 2, 3, 4, 5, 6}) {
    nlohmann::json record = ingest("a.sst", 1, 1);
    record["files"][0][member] = "d";
    EXPECT_TRUE(absl::IsDataLoss(parse(record).status())) << member;
    record["files"][0].erase(member);
    EXPECT_TRUE(absl::IsDataLoss(parse(record).status())) << member;
  }
  nlohmann::json twice = ingest("a.sst", 1, 2);
  twice["files"].push_back(ingest("b.sst", 2, 1)["files"][0]);
  EXPECT_TRUE(absl::IsDataLoss(parse(twice).status()));
  EXPECT_TRUE(absl::IsDataLoss(parse({{"type", "undo"}, {"first", 1}}).status()));
  EXPECT_TRUE(absl::IsDataLoss(parse({{"type", "other"}}).status()));
  EXPECT_TRUE(absl::IsDataLoss(
      ParseIngestLog(RecordLine({{"type", "undo"}, {"first", 1}}) + RecordLine(snapshot))
          .status()));
  const nlohmann::json newer = {{"type", "snapshot"}, {"format", 2}};
  EXPECT_TRUE(absl::IsFailedPrecondition(ParseIngestLog(RecordLine(newer)).status()));
}

TEST_F(IngestLogTest, AfterAWriteThatFailedTheNextOneIsWhole) {
  testing::FaultyEnv faulty(&env_);
  IngestLog log(faulty, dir_.path(), 1, {kDataset, {}});
  ASSERT_TRUE(log.Ingest({FileOf(0)}).ok());
  faulty.FailWritesAfter(20);
  EXPECT_TRUE(absl::IsResourceExhausted(log.Ingest({FileOf(1)})));
  EXPECT_EQ(log.FileOf(1), nullptr);
  EXPECT_TRUE(absl::IsResourceExhausted(log.Ingest({FileOf(2)})));
  faulty.StopFailing();
  ASSERT_TRUE(log.Ingest({FileOf(3)}).ok());
  EXPECT_EQ(Now(), "0 s0.sst, 3 s3.sst");
}

TEST_F(IngestLogTest, UnreadableIsNotDamaged) {
  ASSERT_TRUE(Begin(1).Ingest({FileOf(0)}).ok());
  testing::UnreadableEnv env(env_);
  env.MakeUnreadable("log/00000001");
  const absl::Status status = ReadIngestLog(env, dir_.path(), 1).status();
  EXPECT_FALSE(status.ok() || absl::IsDataLoss(status) || absl::IsNotFound(status)) << status;
}

// Whatever was acknowledged is there after a power cut at any operation, and the log can be read.
TEST(IngestLogPower, NothingAcknowledgedIsLost) {
  constexpr char kDir[] = "/home/building";
  constexpr uint64_t kOutcomes = 4;
  bool completed = false;
  for (uint64_t cut = 0; !completed; ++cut) {
    for (uint64_t outcome = 0; outcome < kOutcomes; ++outcome) {
      SCOPED_TRACE("power cut after " + std::to_string(cut) + ", outcome " +
                   std::to_string(outcome));
      testing::PowerCutEnv env;
      ASSERT_TRUE(env.CreateDirs(kDir).ok() && env.SyncDir("/home").ok());
      env.CutPowerAfter(cut);
      IngestHistory acknowledged, asked;
      const auto write = [&](IngestLog* log, const std::function<absl::Status()>& record) {
        const bool written = record().ok();
        if (written) acknowledged = log->history();
        return written;
      };
      IngestLog first(env, kDir, 1, {kDataset, {}});
      bool goes_on = write(&first, [&] { return first.Begin(); }) &&
                     write(&first,
                           [&] {
                             return first.Ingest({FileOf(0), FileOf(1)});
                           }) &&
                     write(&first, [&] { return first.Merge(FileOf(0, 2, "m")); });
      IngestLog second(env, kDir, 2, first.history());
      goes_on = goes_on && write(&second, [&] { return second.Begin(); }) &&
                write(&second, [&] { return second.Ingest({FileOf(2)}); });
      completed = goes_on;
      env.Restart(testing::SurvivalOf(outcome));
      const auto found = ReadIngestLog(env, kDir, 2);
      if (acknowledged.dataset.empty() && absl::IsNotFound(found.status())) continue;
      ASSERT_TRUE(found.ok()) << found.status();
      const std::string now = Text(*found);
      const std::vector<std::string> states = {"", "0 s0.sst, 1 s1.sst", "0-1 m0.sst",
                                               "0-1 m0.sst, 2 s2.sst"};
      const auto place = [&](const std::string& text) {
        return std::find(states.begin(), states.end(), text) - states.begin();
      };
      EXPECT_LT(place(now), 4) << now;
      EXPECT_GE(place(now), place(Text(acknowledged))) << now;
    }
  }
}

TEST(IngestLogMutants, AreRefusedOrFitTogether) {
  IngestHistory history{kDataset, {}};
  std::string text;
  {
    testing::TempDir dir;
    IngestLog log(*Env::Posix(), dir.path(), 1, history);
    ASSERT_TRUE(log.Ingest({FileOf(0), FileOf(1)}).ok() && log.Merge(FileOf(0, 2, "m")).ok() &&
                log.Ingest({FileOf(3)}).ok() && log.Undo(0).ok());
    text = Read(dir.Path("log/00000001"));
  }
  EXPECT_TRUE(CheckIngestLogParser(text));
  for (uint64_t mutant = 0; mutant < 10000; ++mutant) {
    CheckIngestLogParser(testing::Mutate(text, mutant));
  }
  std::string records;
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    records += text.substr(at + 17, text.find('\n', at) - at - 16);
  }
  uint64_t accepted = 0;
  for (uint64_t mutant = 0; mutant < 10000; ++mutant) {
    accepted += CheckIngestLogParser(WithChecksums(testing::Mutate(records, mutant))) ? 1 : 0;
  }
  EXPECT_GT(accepted, 100u);
}

}  // namespace
}  // namespace halcyon::storage
