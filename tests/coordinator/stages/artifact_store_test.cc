#include "coordinator/stages/artifact_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "base/digest.h"
#include "storage/artifact_scan.h"
#include "storage/lease.h"
#include "storage/weights/weights_index.h"

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
  }
  ~ArtifactStoreTest() override { EXPECT_TRUE(env_.RemoveTree(home_.root).ok()); }

  ArtifactStore Store() { return ArtifactStore(env_, home_); }
  // A made folder with two files.
  std::string Made() {
    const std::string dir = JoinPath(home_.root, "work/out");
    EXPECT_TRUE(env_.RemoveTree(dir).ok());
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
  absl::StatusOr<std::optional<Artifact>> TryFind() {
    return Store().Find(StageKind::kModel, Some().record.fingerprint);
  }
  std::optional<Artifact> Find() {
    auto found = TryFind();
    EXPECT_TRUE(found.ok()) << found.status();
    return *found;
  }
  // Everything below artifacts/, by path.
  std::map<std::string, std::string> Contents() {
    std::map<std::string, std::string> contents;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(JoinPath(home_.root, "artifacts"))) {
      const std::string path = entry.path().string();
      contents[path] = entry.is_regular_file() ? *env_.ReadFile(path) : "";
    }
    return contents;
  }
  std::string Place() { return home_.Artifact("model", Some().record.fingerprint); }

  Env& env_ = *Env::Posix();
  storage::HomeLayout home_;
  SimulatedClock clock_;
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
  EXPECT_TRUE(storage::VerifyArtifact(env_, *found).ok());
  EXPECT_FALSE(env_.Exists(JoinPath(home_.root, "work/out"))) << "moved, not copied";
}

TEST_F(ArtifactStoreTest, WhatAnotherJobHasInstalledMeanwhileIsTaken) {
  Artifact late = Some();
  late.record.job_id = "late-1";
  Install();
  const std::string made = Made();
  const auto installed = Store().Install(late, made);
  ASSERT_TRUE(installed.ok()) << installed.status();
  EXPECT_EQ(installed->record.job_id, Some().record.job_id);
  EXPECT_FALSE(env_.Exists(made));
  EXPECT_TRUE(storage::VerifyArtifact(env_, *Find()).ok());
}

// From the ranks' writing to the coordinator's reading nothing may change.
TEST_F(ArtifactStoreTest, WeightsOtherThanThoseReportedAreNotInstalled) {
  const std::string made = Made();
  for (const char* name :
       {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}) {
    Write(JoinPath(made, name), name);
  }
  Artifact artifact = Some();
  const absl::Status status = Store().Install(artifact, made).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  EXPECT_FALSE(Find().has_value());
  artifact.record.content_digest = storage::WeightsDigest(
      {{"model-00001-of-00002.safetensors", Sha256::Of("model-00001-of-00002.safetensors")},
       {"model-00002-of-00002.safetensors", Sha256::Of("model-00002-of-00002.safetensors")}});
  ASSERT_TRUE(Store().Install(artifact, made).ok());
  EXPECT_TRUE(Find().has_value());
}

TEST_F(ArtifactStoreTest, WeightsThatAreMissingEmptyOrShortAreNotReused) {
  Install();
  const std::string path = JoinPath(Place(), "inner/b.bin");
  for (const char* bytes : {"more", ""}) {
    Write(path, bytes);
    const absl::Status status = TryFind().status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_NE(MessageOf(status).find(path), std::string::npos) << status;
    EXPECT_NE(MessageOf(status).find("--remake-damaged"), std::string::npos) << status;
  }
  ASSERT_TRUE(env_.RemoveFile(path).ok());
  EXPECT_TRUE(absl::IsDataLoss(TryFind().status()));
  EXPECT_TRUE(env_.Exists(Place()));
}

TEST_F(ArtifactStoreTest, AFlippedByteIsFoundWhenAllIsRead) {
  Install();
  Write(JoinPath(Place(), "inner/b.bin"), "more Weights");
  EXPECT_TRUE(TryFind().ok()) << "whoever reads the file compares it";
  const auto verified = Store().FindVerified(StageKind::kModel, Some().record.fingerprint);
  EXPECT_TRUE(absl::IsDataLoss(verified.status()));
}

TEST_F(ArtifactStoreTest, WhatIsDamagedIsSetAsideAndMayBeMadeAgain) {
  Install();
  Write(JoinPath(Place(), "a.bin"), "");
  const auto aside = Store().SetAside(StageKind::kModel, Some().record.fingerprint);
  ASSERT_TRUE(aside.ok());
  EXPECT_EQ(*aside, Place() + ".damaged-1");
  EXPECT_EQ(Find(), std::nullopt);
  EXPECT_EQ(Install().record.path, Place());
  EXPECT_EQ(*Store().SetAside(StageKind::kModel, Some().record.fingerprint),
            Place() + ".damaged-2");
  EXPECT_TRUE(Store().Repair(clock_)->empty()) << "nothing to say about what was set aside";
}

// What may be whole, or was not made by this version, is neither removed nor made again.
TEST_F(ArtifactStoreTest, OnlyWhatIsCertainlyUnfinishedIsRemoved) {
  Install();
  const std::string record = JoinPath(Place(), "artifact.json");
  const std::string text = *env_.ReadFile(record);
  const std::string version = "\"version\": ";
  std::string newer = text;
  newer.replace(newer.find(version), version.size() + 1, version + "3");
  const std::string mine = JoinPath(home_.ArtifactsOf("model"), "mine.bak");
  ASSERT_TRUE(env_.CreateDirs(mine).ok());
  Write(JoinPath(mine, "notes"), "keep");
  using Code = absl::StatusCode;
  for (const auto& [bytes, code] : std::map<std::string, Code>{
           {newer, Code::kFailedPrecondition}, {"{}", Code::kDataLoss}, {"", Code::kDataLoss}}) {
    Write(record, bytes);
    const auto before = Contents();
    const auto notes = Store().Repair(clock_);
    ASSERT_TRUE(notes.ok()) << notes.status();
    EXPECT_EQ(notes->size(), 2u) << "one line each";
    EXPECT_TRUE(notes->front().starts_with("left alone ")) << notes->front();
    const absl::Status found = TryFind().status();
    EXPECT_EQ(found.code(), code) << found;
    EXPECT_NE(MessageOf(found).find(record), std::string::npos) << found;
    EXPECT_EQ(Contents(), before);
  }
  ASSERT_TRUE(env_.RemoveFile(record).ok());
  ASSERT_TRUE(env_.CreateDirs(record).ok());
  EXPECT_TRUE(Store().Repair(clock_).ok());
  EXPECT_EQ(TryFind().status().code(), Code::kFailedPrecondition) << "a folder in its place";
  ASSERT_TRUE(env_.RemoveTree(record).ok());
  EXPECT_TRUE(Store().Repair(clock_).ok());
  EXPECT_EQ(TryFind().status().code(), Code::kFailedPrecondition) << "no artifact.json at all";
  Write(record, text);
  EXPECT_TRUE(Find().has_value()) << "all of it is still there";
}

TEST_F(ArtifactStoreTest, AnotherArtifactInItsPlaceIsRefused) {
  Install();
  std::string other = Some().record.fingerprint;
  other.back() = other.back() == '0' ? '1' : '0';  // the same folder
  const auto found = Store().Find(StageKind::kModel, other);
  EXPECT_EQ(found.status().code(), absl::StatusCode::kFailedPrecondition) << found.status();
}

TEST_F(ArtifactStoreTest, UnfinishedFoldersAreRemoved) {
  const std::string unfinished = JoinPath(home_.ArtifactsOf("tokens"), "0123456789abcdef.tmp");
  ASSERT_TRUE(env_.CreateDirs(unfinished).ok());
  const auto notes = Store().Repair(clock_);
  ASSERT_TRUE(notes.ok() && notes->size() == 1u);
  EXPECT_TRUE(notes->front().starts_with("removed " + unfinished));
  EXPECT_FALSE(env_.Exists(unfinished));
}

TEST_F(ArtifactStoreTest, AFolderThatAnotherJobIsPublishingStays) {
  const std::string unfinished = JoinPath(home_.ArtifactsOf("tokens"), "0123456789abcdef.tmp");
  ASSERT_TRUE(env_.CreateDirs(unfinished).ok());
  storage::LeaseSeeker seeker(env_, clock_, home_.Claim("tokens", "0123456789abcdef"),
                              storage::ThisProcess("job other"));
  auto claim = *seeker.TryTake();
  EXPECT_TRUE(Store().Repair(clock_)->empty());
  EXPECT_TRUE(env_.Exists(unfinished));
  claim.reset();
  EXPECT_EQ(Store().Repair(clock_)->size(), 1u);
  EXPECT_FALSE(env_.Exists(unfinished));
}

TEST_F(ArtifactStoreTest, ACrashAnywhereLeavesAllOrNothing) {
  bool finished = false;
  for (int changes = 0; !finished; ++changes) {
    SCOPED_TRACE(changes);
    ASSERT_LT(changes, 100);
    ASSERT_TRUE(env_.RemoveTree(Place()).ok());
    CrashingEnv crashing(changes);
    const std::string made = Made();
    const auto installed = ArtifactStore(crashing, home_).Install(Some(), made);
    finished = !crashing.crashed();
    EXPECT_EQ(installed.ok(), finished);
    ASSERT_TRUE(Store().Repair(clock_).ok());
    if (const auto found = Find()) {
      EXPECT_TRUE(storage::VerifyArtifact(env_, *found).ok());
    } else {
      EXPECT_FALSE(finished);
      EXPECT_FALSE(env_.Exists(Place())) << "half an artifact";
    }
  }
}

// rename() from one file system to another fails; a whole stage must not be made for that.
class OtherDiskEnv : public CrashingEnv {
 public:
  explicit OtherDiskEnv(std::string from) : CrashingEnv(1000), from_(std::move(from)) {}
  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (from.starts_with(from_) && !to.starts_with(from_)) {
      return ErrnoStatus(EXDEV, "cannot rename " + from + " to " + to);
    }
    return CrashingEnv::Rename(from, to);
  }

 private:
  std::string from_;
};

TEST_F(ArtifactStoreTest, WorkOnAnotherFileSystemIsRefusedBeforeAnythingIsMade) {
  EXPECT_TRUE(Store().CheckPlaces({StageKind::kModel, StageKind::kTokens}).ok());
  EXPECT_TRUE(env_.ListDir(JoinPath(home_.root, "work"))->empty()) << "nothing is left behind";
  EXPECT_TRUE(env_.ListDir(home_.ArtifactsOf("model"))->empty());
  OtherDiskEnv env(JoinPath(home_.root, "work"));
  const absl::Status status = ArtifactStore(env, home_).CheckPlaces({StageKind::kModel});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(status).find("both must lie on one file system"), std::string::npos);
  EXPECT_TRUE(env_.ListDir(JoinPath(home_.root, "work"))->empty());
}

}  // namespace
}  // namespace halcyon::coordinator
