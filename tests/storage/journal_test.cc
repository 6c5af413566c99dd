#include "storage/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/digest.h"
#include "storage/journal_records.h"
#include "tests/storage/damage.h"
#include "tests/testing/mutate.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::storage {
namespace {

using ::testing::HasSubstr;
using Code = absl::StatusCode;

JobRecord TestJob(const std::string& id, int64_t created_ms) {
  JobRecord job;
  job.job_id = id;
  job.name = "caf\u00e9 \"x\"";
  job.spec_path = "/tmp/job.toml";
  job.state = jobs::JobState::kPreempted;
  job.created_ms = created_ms;
  job.updated_ms = created_ms + 1;
  job.error = "no space";
  job.stages = {{jobs::StageKind::kTokens, jobs::StageState::kReused, "f1", "reused"},
                {jobs::StageKind::kModel, jobs::StageState::kWaiting, "", ""}};
  return job;
}

ArtifactRecord TestArtifact(const std::string& fingerprint, int64_t created_ms) {
  ArtifactRecord artifact;
  artifact.kind = jobs::StageKind::kLatents;
  artifact.fingerprint = fingerprint;
  artifact.content_digest = "d";
  artifact.fields = {{"version", "1"}, {"input.tokens", "abc"}};
  artifact.path = "/a/b";
  artifact.job_id = "job-1";
  artifact.created_ms = created_ms;
  artifact.bytes = ~uint64_t{0};
  return artifact;
}

class JournalTest : public ::testing::Test {
 protected:
  std::string Path() { return dir_.Path("journal"); }
  void Open() {
    auto journal = Journal::Open(Path());
    ASSERT_TRUE(journal.ok()) << journal.status();
    journal_ = std::move(*journal);
  }
  void Close() { journal_.reset(); }
  void Reopen() {
    Close();
    Open();
  }
  // The log that holds what was written since the last opening.
  std::string Log() { return FilesEnding(Path(), ".log").back(); }
  Code TryOpen() { return Journal::Open(Path()).status().code(); }

  testing::TempDir dir_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalTest, WhatIsRemovedStaysRemovedAndNothingElseIs) {
  Open();
  ASSERT_TRUE(journal_->PutJob(TestJob("a", 1)).ok());
  ASSERT_TRUE(journal_->PutJob(TestJob("ab", 2)).ok());
  ASSERT_TRUE(journal_->PutArtifact(TestArtifact("f1", 1)).ok());
  ASSERT_TRUE(journal_->PutArtifact(TestArtifact("f12", 2)).ok());
  ASSERT_TRUE(journal_->RemoveJob("a").ok());
  ASSERT_TRUE(journal_->RemoveArtifact(jobs::StageKind::kLatents, "f1").ok());
  ASSERT_TRUE(journal_->RemoveArtifact(jobs::StageKind::kTokens, "f12").ok()) << "of another kind";
  Reopen();
  EXPECT_TRUE(absl::IsNotFound(journal_->GetJob("a").status()));
  EXPECT_TRUE(journal_->GetJob("ab").ok());
  EXPECT_TRUE(absl::IsNotFound(journal_->FindArtifact(jobs::StageKind::kLatents, "f1").status()));
  EXPECT_TRUE(journal_->FindArtifact(jobs::StageKind::kLatents, "f12").ok());
  EXPECT_TRUE(journal_->RemoveJob("a").ok()) << "once more";
}

TEST_F(JournalTest, CountersNeverRepeat) {
  Open();
  EXPECT_EQ(*journal_->NextIncarnation(), 1u);
  EXPECT_EQ(*journal_->NextIncarnation(), 2u);
  EXPECT_EQ(*journal_->ReserveFences(10), 1u);
  Reopen();
  EXPECT_EQ(*journal_->NextIncarnation(), 3u);
  EXPECT_EQ(*journal_->ReserveFences(1), 11u);
  EXPECT_EQ(*journal_->ReserveFences(1), 12u);
}

TEST_F(JournalTest, AnIncarnationRisesAboveWhatTheCallerKnows) {
  Open();
  EXPECT_EQ(*journal_->LastIncarnation(), 0u);
  EXPECT_EQ(*journal_->NextIncarnation(7), 8u);
  EXPECT_EQ(*journal_->NextIncarnation(3), 9u);
  Reopen();
  EXPECT_EQ(*journal_->LastIncarnation(), 9u);
}

TEST_F(JournalTest, RemembersJobs) {
  Open();
  EXPECT_EQ(journal_->GetJob("a").status().code(), Code::kNotFound);
  ASSERT_TRUE(journal_->PutJob(TestJob("a", 10)).ok());
  ASSERT_TRUE(journal_->PutJob(TestJob("b", 30)).ok());
  ASSERT_TRUE(journal_->PutJob(TestJob("c", 20)).ok());
  JobRecord changed = TestJob("a", 10);
  changed.state = jobs::JobState::kDone;
  ASSERT_TRUE(journal_->PutJob(changed).ok());
  Reopen();
  const auto job = journal_->GetJob("a");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(EncodeJob(*job), EncodeJob(changed));
  EXPECT_EQ(job->state, jobs::JobState::kDone);
  ASSERT_EQ(job->stages.size(), 2u);
  EXPECT_EQ(job->stages[0].state, jobs::StageState::kReused);
  EXPECT_EQ(job->stages[1].kind, jobs::StageKind::kModel);
  const auto jobs = *journal_->ListJobs();
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[0].job_id + jobs[1].job_id + jobs[2].job_id, "bca");
}

TEST_F(JournalTest, RemembersArtifacts) {
  Open();
  ASSERT_TRUE(journal_->PutArtifact(TestArtifact("f1", 1)).ok());
  ASSERT_TRUE(journal_->PutArtifact(TestArtifact("f2", 2)).ok());
  Reopen();
  const auto found = journal_->FindArtifact(jobs::StageKind::kLatents, "f1");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(EncodeArtifact(*found), EncodeArtifact(TestArtifact("f1", 1)));
  EXPECT_EQ(found->bytes, ~uint64_t{0});
  EXPECT_EQ(found->fields, TestArtifact("f1", 1).fields);
  EXPECT_EQ(journal_->FindArtifact(jobs::StageKind::kTokens, "f1").status().code(),
            Code::kNotFound);
  EXPECT_EQ(journal_->FindArtifact(jobs::StageKind::kLatents, "f").status().code(),
            Code::kNotFound);
  const auto all = *journal_->ListArtifacts();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].fingerprint, "f2");
}

TEST_F(JournalTest, ATornLastRecordIsDropped) {
  Open();
  ASSERT_TRUE(journal_->PutJob(TestJob("a", 1)).ok());
  ASSERT_TRUE(journal_->PutJob(TestJob("b", 2)).ok());
  Close();
  Truncate(Log(), 5);
  Open();
  EXPECT_TRUE(journal_->GetJob("a").ok());
  EXPECT_EQ(journal_->GetJob("b").status().code(), Code::kNotFound);
  EXPECT_TRUE(journal_->PutJob(TestJob("b", 2)).ok());
}

TEST_F(JournalTest, DamageInTheMiddleIsNotTakenForTheEnd) {
  Open();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(journal_->PutJob(TestJob(std::to_string(i), i)).ok());
  }
  Close();
  FlipBit(Log(), Read(Log()).size() / 2);
  EXPECT_EQ(TryOpen(), Code::kDataLoss);
  EXPECT_EQ(Journal::OpenReadOnly(Path()).status().code(), Code::kDataLoss);
}

TEST_F(JournalTest, AMissingFileIsDamage) {
  Open();
  Close();
  for (const std::string& path : FilesEnding(Path(), "")) {
    if (path.find("MANIFEST") != std::string::npos) std::filesystem::remove(path);
  }
  EXPECT_EQ(TryOpen(), Code::kDataLoss);
}

// RocksDB would begin a new database and remove what is left of the old one.
TEST_F(JournalTest, AMissingCurrentFileIsNoNewJournal) {
  Open();
  ASSERT_TRUE(journal_->PutJob(TestJob("a", 1)).ok());
  Close();
  const std::string current = JoinPath(Path(), "CURRENT");
  const std::string bytes = Read(current);
  std::filesystem::remove(current);
  EXPECT_EQ(TryOpen(), Code::kDataLoss);
  Overwrite(current, bytes);
  Open();
  EXPECT_TRUE(journal_->GetJob("a").ok()) << "nothing was removed";
}

TEST_F(JournalTest, AFirstOpeningThatWasCutShortIsBegunAgain) {
  std::filesystem::create_directories(Path());
  Overwrite(JoinPath(Path(), "MANIFEST-000001"), "");
  EXPECT_EQ(TryOpen(), Code::kOk);
}

TEST_F(JournalTest, TheErrorSaysWhatToDoAndThatWorks) {
  Open();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(journal_->PutJob(TestJob(std::to_string(i), i)).ok());
  }
  Close();
  FlipBit(Log(), Read(Log()).size() / 2);
  const auto refused = Journal::Open(Path());
  EXPECT_THAT(MessageOf(refused.status()), HasSubstr("mv " + Path() + " " + Path() + ".damaged"));
  std::filesystem::rename(Path(), Path() + ".damaged");
  Open();
  EXPECT_EQ(*journal_->LastIncarnation(), 0u);
}

TEST_F(JournalTest, AFileInItsPlaceIsNamed) {
  Overwrite(Path(), "");
  const auto refused = Journal::Open(Path());
  EXPECT_EQ(refused.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(MessageOf(refused.status()), HasSubstr(Path() + ": is a file, expected a folder"));
}

TEST_F(JournalTest, ReadingChangesNothing) {
  EXPECT_EQ(Journal::OpenReadOnly(Path()).status().code(), Code::kNotFound);
  Open();
  ASSERT_TRUE(journal_->PutJob(TestJob("a", 1)).ok());
  Close();
  const auto before = FilesEnding(Path(), "");
  {
    auto reader = Journal::OpenReadOnly(Path());
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_TRUE((*reader)->GetJob("a").ok());
    EXPECT_EQ((*reader)->NextIncarnation().status().code(), Code::kFailedPrecondition);
    EXPECT_EQ((*reader)->PutJob(TestJob("b", 1)).code(), Code::kFailedPrecondition);
  }
  EXPECT_EQ(FilesEnding(Path(), ""), before);
}

TEST_F(JournalTest, ASecondOwnerIsRefused) {
  Open();
  EXPECT_FALSE(Journal::Open(Path()).ok());
}

TEST_F(JournalTest, KeepsNoLogOfItsLibrary) {
  Open();
  Close();
  for (const std::string& path : FilesEnding(Path(), "")) EXPECT_NE(BaseName(path), "LOG");
}

// Many openings leave a handful of files.
TEST_F(JournalTest, DoesNotGrowWithItsOpenings) {
  for (uint64_t i = 1; i <= 12; ++i) {
    Open();
    ASSERT_EQ(*journal_->NextIncarnation(), i);
    Close();
  }
  EXPECT_LT(FilesEnding(Path(), "").size(), 12u);
}

class SourceTest : public JournalTest {
 protected:
  void SetUp() override {
    Open();
    Overwrite(source_, "abc");
  }
  std::string source_ = dir_.Path("source.txt");
};

TEST_F(SourceTest, IsReadOnceWhileItStaysTheSame) {
  EXPECT_EQ(*SourceDigest(*journal_, source_), Sha256::Of("abc"));
  // A remembered digest that no reading could give shows that none took place.
  SourceRecord record = *journal_->FindSource(source_);
  EXPECT_EQ(record.size, 3u);
  record.sha256 = "remembered";
  ASSERT_TRUE(journal_->PutSource(record).ok());
  Reopen();
  EXPECT_EQ(*SourceDigest(*journal_, source_), "remembered");
}

TEST_F(SourceTest, IsReadAgainWhenAnyOfItsMarksDiffers) {
  ASSERT_TRUE(SourceDigest(*journal_, source_).ok());
  const SourceRecord good = *journal_->FindSource(source_);
  for (int mark = 0; mark < 3; ++mark) {
    SourceRecord record = good;
    record.sha256 = "stale";
    if (mark == 0) record.size += 1;
    if (mark == 1) record.mtime_ns -= 1;
    if (mark == 2) record.inode += 1;
    ASSERT_TRUE(journal_->PutSource(record).ok());
    EXPECT_EQ(*SourceDigest(*journal_, source_), Sha256::Of("abc")) << mark;
  }
}

TEST_F(SourceTest, AMissingSourceIsNotFound) {
  EXPECT_EQ(SourceDigest(*journal_, dir_.Path("none")).status().code(), Code::kNotFound);
}

TEST(JournalRecords, RefuseWhatTheyDidNotWrite) {
  for (const char* bad : {"", "{}", "[]", "null", "7x", "{\"job_id\":1}"}) {
    EXPECT_EQ(DecodeJob(bad).status().code(), Code::kDataLoss) << bad;
    EXPECT_EQ(DecodeArtifact(bad).status().code(), Code::kDataLoss) << bad;
    EXPECT_EQ(DecodeSource(bad).status().code(), Code::kDataLoss) << bad;
    EXPECT_EQ(DecodeNumber(bad).status().code(), Code::kDataLoss) << bad;
  }
  for (const char* bad : {"-1", "1.5", "true", "\"1\"", "1e3"}) {
    EXPECT_EQ(DecodeNumber(bad).status().code(), Code::kDataLoss) << bad;
  }
  std::string job = EncodeJob(TestJob("a", 1));
  job.replace(job.find("preempted"), 9, "presented");
  EXPECT_EQ(DecodeJob(job).status().code(), Code::kDataLoss);
}

TEST(JournalRecords, KeepTextThatIsNoUtf8Readable) {
  JobRecord job = TestJob("a", 1);
  job.error = "cannot read /tmp/\xff";
  const auto decoded = DecodeJob(EncodeJob(job));
  ASSERT_TRUE(decoded.ok());
  EXPECT_THAT(decoded->error, HasSubstr("cannot read /tmp/"));
}

// Accepted mutants have one meaning: written again they read back the same.
template <typename Decode, typename Encode>
void RunMutants(const std::string& original, Decode decode, Encode encode) {
  constexpr uint64_t kMutants = 10000;
  uint64_t accepted = 0;
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    const auto record = decode(testing::Mutate(original, mutant));
    if (!record.ok()) {
      EXPECT_EQ(record.status().code(), Code::kDataLoss);
      continue;
    }
    ++accepted;
    const auto again = decode(encode(*record));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(encode(*again), encode(*record));
  }
  EXPECT_LT(accepted, kMutants / 2);
}

TEST(JournalRecords, MutantsAreRefusedOrRoundTrip) {
  RunMutants(EncodeJob(TestJob("a", 1)), DecodeJob, EncodeJob);
  RunMutants(EncodeArtifact(TestArtifact("f", 1)), DecodeArtifact, EncodeArtifact);
  RunMutants(EncodeSource({"/p", 1, 2, 3, "s"}), DecodeSource, EncodeSource);
}

}  // namespace
}  // namespace halcyon::storage
