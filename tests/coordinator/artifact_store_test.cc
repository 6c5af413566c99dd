#include "coordinator/artifact_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace halcyon::coordinator {
namespace {

using jobs::StageKind;

// Passes on to the real file system until so many changes are made; then everything fails, as
// after a crash.
class CrashingEnv : public Env {
 public:
  explicit CrashingEnv(int changes) : changes_left_(changes) {}
  bool crashed() const { return changes_left_ < 0; }

  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) override {
    RETURN_IF_ERROR(Change());
    return real_.NewWritableFile(path);
  }
  absl::Status CreateDirs(const std::string& path) override {
    RETURN_IF_ERROR(Change());
    return real_.CreateDirs(path);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    RETURN_IF_ERROR(Change());
    return real_.Rename(from, to);
  }
  absl::Status RemoveFile(const std::string& path) override {
    RETURN_IF_ERROR(Change());
    return real_.RemoveFile(path);
  }
  absl::Status RemoveTree(const std::string& path) override {
    RETURN_IF_ERROR(Change());
    return real_.RemoveTree(path);
  }
  absl::Status SyncDir(const std::string& path) override {
    RETURN_IF_ERROR(Change());
    return real_.SyncDir(path);
  }
  absl::StatusOr<std::string> ReadFile(const std::string& path) override {
    return real_.ReadFile(path);
  }
  absl::StatusOr<std::string> ReadRange(const std::string& path, uint64_t offset,
                                        uint64_t size) override {
    return real_.ReadRange(path, offset, size);
  }
  absl::StatusOr<uint64_t> FileSize(const std::string& path) override {
    return real_.FileSize(path);
  }
  bool Exists(const std::string& path) override { return real_.Exists(path); }
  absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) override {
    return real_.ListDir(path);
  }

 private:
  absl::Status Change() {
    return changes_left_-- > 0 ? absl::OkStatus() : Internal("the machine is off");
  }
  Env& real_ = *Env::Posix();
  int changes_left_;
};

class ArtifactStoreTest : public testing::Test {
 protected:
  ArtifactStoreTest() {
    static int number = 0;
    const std::string root = testing::TempDir() + "halcyon-store-" + std::to_string(getpid()) +
                             "-" + std::to_string(number++);
    EXPECT_TRUE(env_.RemoveTree(root).ok());
    home_ = *storage::OpenHome(root);
    journal_ = *storage::Journal::Open(home_.Journal());
  }
  ~ArtifactStoreTest() override {
    journal_.reset();
    EXPECT_TRUE(env_.RemoveTree(home_.root).ok());
  }

  ArtifactStore Store() { return ArtifactStore(env_, *journal_, home_); }
  // A made folder with two files.
  std::string Made() {
    const std::string dir = JoinPath(home_.root, "work/out");
    EXPECT_TRUE(env_.CreateDirs(JoinPath(dir, "inner")).ok());
    Write(JoinPath(dir, "a.bin"), "weights");
    Write(JoinPath(dir, "inner/b.bin"), "more weights");
    return dir;
  }
  void Write(const std::string& path, const std::string& bytes) {
    ASSERT_TRUE(WriteFileAtomically(env_, path, bytes).ok());
  }
  static Artifact Some() {
    Artifact artifact;
    artifact.record.kind = StageKind::kModel;
    artifact.record.fields = {{"version", "1"}, {"train.steps", "10"}};
    artifact.record.fingerprint =
        jobs::StageIdentity{StageKind::kModel, artifact.record.fields}.Fingerprint();
    artifact.record.content_digest = std::string(64, 'd');
    artifact.record.job_id = "job-1";
    artifact.record.created_ms = 77;
    artifact.record.bytes = 19;
    artifact.facts = {{"loss", 1.5}};
    return artifact;
  }
  Artifact Install() {
    auto installed = Store().Install(Some(), Made());
    EXPECT_TRUE(installed.ok()) << installed.status();
    return *installed;
  }
  std::optional<Artifact> Find() {
    auto found = Store().Find(StageKind::kModel, Some().record.fingerprint);
    EXPECT_TRUE(found.ok()) << found.status();
    return *found;
  }
  std::string Place() { return home_.Artifact("model", Some().record.fingerprint); }

  Env& env_ = *Env::Posix();
  storage::HomeLayout home_;
  std::unique_ptr<storage::Journal> journal_;
};

TEST_F(ArtifactStoreTest, WhatIsInstalledIsFoundWhole) {
  EXPECT_EQ(Find(), std::nullopt);
  Install();
  const auto found = Find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->record.path, Place());
  EXPECT_EQ(found->record.content_digest, Some().record.content_digest);
  EXPECT_EQ(found->record.fields, Some().record.fields);
  EXPECT_EQ(found->facts, Some().facts);
  ASSERT_EQ(found->files.size(), 2u);
  EXPECT_EQ(found->files[1].name, "inner/b.bin");
  // printf 'weights' | sha256sum
  EXPECT_EQ(found->files[0].sha256,
            "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c");
  EXPECT_TRUE(VerifyArtifact(env_, *found).ok());
  EXPECT_FALSE(env_.Exists(JoinPath(home_.root, "work/out"))) << "moved, not copied";
}

TEST_F(ArtifactStoreTest, DamageIsFoundAndNamed) {
  const Artifact artifact = Install();
  const std::string path = JoinPath(Place(), "inner/b.bin");
  Write(path, "more Weights");
  EXPECT_NE(MessageOf(VerifyArtifact(env_, artifact)).find(path + ": SHA-256"), std::string::npos);
  Write(path, "more");
  EXPECT_NE(MessageOf(VerifyArtifact(env_, artifact)).find(path + ": 4 bytes, recorded 12"),
            std::string::npos);
  ASSERT_TRUE(env_.RemoveFile(path).ok());
  EXPECT_TRUE(absl::IsNotFound(VerifyArtifact(env_, artifact)));
  Artifact other = artifact;
  other.record.fields[1].value = "11";
  EXPECT_TRUE(absl::IsDataLoss(VerifyArtifact(env_, other)));
}

TEST_F(ArtifactStoreTest, AMissingOrUnreadableFolderIsNotFound) {
  Install();
  Write(JoinPath(Place(), "artifact.json"), "{}");
  EXPECT_EQ(Find(), std::nullopt);
  std::vector<std::string> damaged;
  EXPECT_TRUE(ScanArtifacts(env_, home_, &damaged)->empty());
  EXPECT_EQ(damaged.size(), 1u);
  ASSERT_TRUE(env_.RemoveTree(Place()).ok());
  EXPECT_EQ(Find(), std::nullopt);
  EXPECT_TRUE(Install().record.path == Place()) << "and it may be made again";
}

TEST_F(ArtifactStoreTest, AFinishedFolderThatTheJournalLacksIsAdopted) {
  Install();
  journal_.reset();
  ASSERT_TRUE(env_.RemoveTree(home_.Journal()).ok());
  journal_ = *storage::Journal::Open(home_.Journal());
  EXPECT_EQ(Find(), std::nullopt);
  const auto said = Store().Repair();
  ASSERT_TRUE(said.ok() && said->size() == 1u);
  EXPECT_TRUE(said->front().starts_with("took over " + Place()));
  EXPECT_TRUE(Find().has_value());
  EXPECT_TRUE(Store().Repair()->empty()) << "once";
}

TEST_F(ArtifactStoreTest, ADamagedFolderThatTheJournalLacksIsRemoved) {
  Install();
  journal_.reset();
  ASSERT_TRUE(env_.RemoveTree(home_.Journal()).ok());
  journal_ = *storage::Journal::Open(home_.Journal());
  Write(JoinPath(Place(), "a.bin"), "wrights");
  const auto said = Store().Repair();
  ASSERT_TRUE(said.ok() && said->size() == 1u);
  EXPECT_TRUE(said->front().starts_with("removed " + Place()));
  EXPECT_FALSE(env_.Exists(Place()));
}

TEST_F(ArtifactStoreTest, ACrashAnywhereLeavesAllOrNothing) {
  bool finished = false;
  for (int changes = 0; !finished; ++changes) {
    SCOPED_TRACE(changes);
    ASSERT_LT(changes, 100);
    ASSERT_TRUE(env_.RemoveTree(Place()).ok());
    CrashingEnv crashing(changes);
    const std::string made = Made();
    const auto installed = ArtifactStore(crashing, *journal_, home_).Install(Some(), made);
    finished = !crashing.crashed();
    EXPECT_EQ(installed.ok(), finished);
    ASSERT_TRUE(Store().Repair().ok());
    if (const auto found = Find()) {
      EXPECT_TRUE(VerifyArtifact(env_, *found).ok());
    } else {
      EXPECT_FALSE(finished);
      EXPECT_FALSE(env_.Exists(Place())) << "half an artifact";
    }
  }
}

}  // namespace
}  // namespace halcyon::coordinator
