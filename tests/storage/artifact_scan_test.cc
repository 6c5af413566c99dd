#include "storage/artifact_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/damage.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST(ArtifactEntryTest, ANameSaysWhatAnEntryIs) {
  EXPECT_EQ(EntryOf("0123456789abcdef"), ArtifactEntry::kArtifact);
  EXPECT_EQ(EntryOf("0123456789abcdef.tmp"), ArtifactEntry::kUnfinished);
  for (const char* foreign :
       {"", ".tmp", "mine.bak", "mine.tmp", "0123456789abcde", "0123456789abcdef0",
        "0123456789ABCDEF", "0123456789abcdef.damaged-1", "0123456789abcdef.tmp.bak"}) {
    EXPECT_EQ(EntryOf(foreign), ArtifactEntry::kForeign) << foreign;
  }
}

class ArtifactScanTest : public ::testing::Test {
 protected:
  // An artifact with this content, made from others.
  void Add(jobs::StageKind kind, const std::string& digest,
           const std::map<std::string, std::string>& inputs, int64_t created_ms = 1) {
    Artifact artifact;
    artifact.record.kind = kind;
    artifact.record.content_digest = digest;
    artifact.record.created_ms = created_ms;
    artifact.record.fields = {{"number", std::to_string(number_++)}};
    for (const auto& [stage, of] : inputs) {
      artifact.record.fields.push_back({"input." + stage, of});
    }
    artifact.record.fingerprint = jobs::StageIdentity{kind, artifact.record.fields}.Fingerprint();
    const std::string dir =
        home_.Artifact(std::string(jobs::StageName(kind)), artifact.record.fingerprint);
    ASSERT_TRUE(env_.CreateDirs(dir).ok());
    Overwrite(JoinPath(dir, kArtifactFileName), ArtifactToText(artifact));
    paths_[digest] = dir;
  }
  // A chain as of a job, and a tokens artifact beside it.
  void AddJob() {
    Add(jobs::StageKind::kTokenizer, "tok", {});
    Add(jobs::StageKind::kTokens, "text", {{"tokenizer", "tok"}});
    Add(jobs::StageKind::kTokens, "other", {{"tokenizer", "tok"}});
    Add(jobs::StageKind::kAutoencoder, "ae", {{"tokens", "text"}});
    Add(jobs::StageKind::kLatents, "lat", {{"tokens", "text"}, {"autoencoder", "ae"}});
    Add(jobs::StageKind::kModel, "lm", {{"tokens", "text"}, {"latents", "lat"}});
  }

  Env& env_ = *Env::Posix();
  testing::TempDir dir_;
  HomeLayout home_{dir_.path()};
  int number_ = 0;
  std::map<std::string, std::string> paths_;  // by content
};

TEST_F(ArtifactScanTest, FindsArtifactsAndLeavesOutOtherEntries) {
  Add(jobs::StageKind::kModel, "a", {}, 1);
  Add(jobs::StageKind::kModel, "b", {}, 2);
  ASSERT_TRUE(env_.CreateDirs(JoinPath(home_.ArtifactsOf("model"), "mine.bak")).ok());
  ASSERT_TRUE(env_.CreateDirs(JoinPath(home_.ArtifactsOf("model"), "0123456789abcdef.tmp")).ok());
  const auto scan = ScanArtifacts(env_, home_);
  ASSERT_TRUE(scan.ok());
  ASSERT_EQ(scan->artifacts.size(), 2u);
  EXPECT_EQ(scan->artifacts[0].record.content_digest, "b") << "the newest first";
  EXPECT_THAT(scan->unread, IsEmpty());
  EXPECT_EQ(scan->Find("model", "a")->record.path, paths_["a"]);
  EXPECT_EQ(scan->Find("tokens", "a"), nullptr);
}

TEST_F(ArtifactScanTest, AnUnreadableArtifactIsNamedWithTheDigestItStillHas) {
  Add(jobs::StageKind::kModel, "a", {});
  const std::string path = JoinPath(paths_["a"], kArtifactFileName);
  FlipBit(path, Read(path).find("created_ms") + 1);
  ASSERT_TRUE(env_.CreateDirs(home_.Artifact("tokens", "0123456789abcdef")).ok());
  const auto scan = ScanArtifacts(env_, home_);
  ASSERT_EQ(scan->unread.size(), 2u);
  EXPECT_TRUE(absl::IsDataLoss(scan->unread[0].status));
  EXPECT_THAT(MessageOf(scan->unread[0].status), ::testing::HasSubstr("has no artifact.json"));
  EXPECT_TRUE(absl::IsDataLoss(scan->unread[1].status));
  EXPECT_EQ(scan->unread[1].content_digest, "a");
}

TEST_F(ArtifactScanTest, DamageIsFollowedThroughAllThatWasMadeFromIt) {
  AddJob();
  const auto scan = ScanArtifacts(env_, home_);
  using Reasons = std::set<std::string>;
  EXPECT_THAT(
      MadeFrom(scan->artifacts, {"ae"}),
      UnorderedElementsAre(Pair(paths_["lat"], Reasons{"ae"}), Pair(paths_["lm"], Reasons{"ae"})));
  EXPECT_THAT(MadeFrom(scan->artifacts, {"text", "lat"}),
              UnorderedElementsAre(Pair(paths_["ae"], Reasons{"text"}),
                                   Pair(paths_["lat"], Reasons{"text"}),
                                   Pair(paths_["lm"], Reasons{"text", "lat"})));
  EXPECT_EQ(MadeFrom(scan->artifacts, {"tok"}).size(), 5u);
  EXPECT_THAT(MadeFrom(scan->artifacts, {"lm"}), IsEmpty());
  EXPECT_THAT(MadeFrom(scan->artifacts, {""}), IsEmpty());
}

}  // namespace
}  // namespace halcyon::storage
