#include "storage/artifact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>

#include "base/digest.h"
#include "storage/artifact_reader.h"
#include "tests/storage/cache_fixture.h"
#include "tests/testing/mutate.h"
#include "tests/testing/unreadable_env.h"

namespace halcyon::storage {
namespace {

using ::testing::HasSubstr;
using Code = absl::StatusCode;

Artifact TestArtifact() {
  Artifact artifact;
  artifact.record.kind = jobs::StageKind::kModel;
  artifact.record.fields = {{"version", "1"}, {"input.tokens", "t"}, {"input.latents", "l"}};
  artifact.record.fingerprint =
      jobs::StageIdentity{artifact.record.kind, artifact.record.fields}.Fingerprint();
  artifact.record.content_digest = std::string(64, 'd');
  artifact.record.job_id = "job-1";
  artifact.record.created_ms = 77;
  artifact.record.bytes = ~uint64_t{0};
  artifact.files = {{"job.toml", 3, std::string(64, 'a')}, {"model.safetensors", 9, "b"}};
  artifact.facts = {{"loss", 1.5}, {"name", "caf\u00e9 \"x\""}, {"list", {1, 2}}};
  return artifact;
}

void ExpectEqual(const Artifact& a, const Artifact& b) {
  EXPECT_EQ(a.record.kind, b.record.kind);
  EXPECT_EQ(a.record.fingerprint, b.record.fingerprint);
  EXPECT_EQ(a.record.content_digest, b.record.content_digest);
  EXPECT_EQ(a.record.fields, b.record.fields);
  EXPECT_EQ(a.record.job_id, b.record.job_id);
  EXPECT_EQ(a.record.created_ms, b.record.created_ms);
  EXPECT_EQ(a.record.bytes, b.record.bytes);
  EXPECT_EQ(a.files, b.files);
  EXPECT_EQ(a.facts, b.facts);
}

TEST(ArtifactText, ComesBack) {
  const auto read = ArtifactFromText(ArtifactToText(TestArtifact()));
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectEqual(*read, TestArtifact());
  EXPECT_EQ(InputDigestsOf(read->record),
            (std::map<std::string, std::string>{{"tokens", "t"}, {"latents", "l"}}));
}

// The line of docs/artifact_format.md.
TEST(ArtifactText, APersonCanCheckItsDigest) {
  const testing::TempDir dir;
  const std::string path = dir.Path("artifact.json");
  Overwrite(path, ArtifactToText(TestArtifact()));
  FILE* pipe = popen(("head -n -2 '" + path + "' | sha256sum").c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  char digest[65] = "";
  EXPECT_EQ(fread(digest, 1, 64, pipe), 64u);
  pclose(pipe);
  EXPECT_THAT(Read(path), HasSubstr("\n  \"sha256\": \"" + std::string(digest) + "\"\n}\n"));
}

TEST(ArtifactText, EveryFlippedBitIsNoticed) {
  const std::string text = ArtifactToText(TestArtifact());
  for (size_t at = 0; at < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = text;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      EXPECT_FALSE(ArtifactFromText(flipped).ok()) << "byte " << at << ", bit " << bit;
    }
  }
}

TEST(ArtifactText, EveryOtherDamageIsNoticed) {
  const std::string text = ArtifactToText(TestArtifact());
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(ArtifactFromText(text.substr(0, size)).status().code(), Code::kDataLoss) << size;
  }
  EXPECT_EQ(ArtifactFromText(text + "\n").status().code(), Code::kDataLoss);
  for (uint64_t mutant = 0; mutant < 10000; ++mutant) {
    const std::string mutated = testing::Mutate(text, mutant);
    EXPECT_EQ(ArtifactFromText(mutated).ok(), mutated == text) << mutant;
  }
}

TEST(ArtifactText, AnotherVersionIsNamedAndIsNoDamage) {
  const std::string text = ArtifactToText(TestArtifact());
  // Version 1 had no digest of itself; of version 3 nothing is known but its number.
  for (const std::string other : {"{\"version\": 1, \"kind\": \"model\"}", "{\"version\": 3}\n"}) {
    const absl::Status status = ArtifactFromText(other).status();
    EXPECT_EQ(status.code(), Code::kFailedPrecondition) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr("written by another version of Halcyon"));
  }
  EXPECT_EQ(ArtifactFromText("{}").status().code(), Code::kDataLoss);
}

// A folder with two files and its record.
class ArtifactFolderTest : public ::testing::Test {
 protected:
  ArtifactFolderTest() {
    Overwrite(Path("job.toml"), "toml");
    Overwrite(Path("model.safetensors"), "weights");
    Artifact artifact = TestArtifact();
    artifact.files = *DescribeFiles(env_, dir_.path(), artifact.record.kind);
    artifact.record.content_digest = Sha256::Of("weights");
    Overwrite(Path(kArtifactFileName), ArtifactToText(artifact));
  }
  std::string Path(const std::string& name) { return dir_.Path(name); }
  Artifact Recorded() { return *ReadArtifact(env_, dir_.path()); }
  absl::Status ReadWeights(const std::string& digest = "") {
    auto reader = ArtifactReader::Open(env_, dir_.path(), digest);
    return reader.ok() ? reader->Verified("model.safetensors").status() : reader.status();
  }
  // An error that names the file, both when the folder is opened and when all of it is read.
  void ExpectDamaged(const std::string& what) {
    for (const absl::Status& status : {ReadWeights(), VerifyArtifact(env_, Recorded())}) {
      EXPECT_EQ(status.code(), Code::kDataLoss) << status;
      EXPECT_THAT(MessageOf(status), HasSubstr(Path("model.safetensors") + ": " + what));
      EXPECT_THAT(MessageOf(status), HasSubstr("--remake-damaged"));
    }
    // Neither another try nor a change of the job file would help.
    EXPECT_EQ(ReadWeights(Sha256::Of("weights")).code(), Code::kFailedPrecondition);
  }

  testing::TempDir dir_;
  testing::UnreadableEnv env_{*Env::Posix()};
};

TEST_F(ArtifactFolderTest, WholeFilesAreRead) {
  EXPECT_TRUE(ReadWeights().ok());
  EXPECT_TRUE(ReadWeights(Sha256::Of("weights")).ok());
  EXPECT_TRUE(CheckFiles(env_, Recorded()).ok());
  EXPECT_TRUE(VerifyArtifact(env_, Recorded()).ok());
  // printf 'weights' | sha256sum
  EXPECT_EQ(Recorded().files[1].sha256,
            "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c");
}

TEST_F(ArtifactFolderTest, AFlippedBitIsNamedWithBothDigests) {
  FlipBit(Path("model.safetensors"), 3);
  EXPECT_TRUE(CheckFiles(env_, Recorded()).ok()) << "sizes alone do not tell";
  ExpectDamaged("SHA-256 " + Sha256::Of("weifhts"));
  EXPECT_THAT(MessageOf(ReadWeights()), HasSubstr("artifact.json records 9a129038"));
}

TEST_F(ArtifactFolderTest, AShortEmptyOrMissingFileIsSeenByItsSize) {
  Overwrite(Path("model.safetensors"), "weig");
  EXPECT_EQ(CheckFiles(env_, Recorded()).code(), Code::kDataLoss);
  ExpectDamaged("4 bytes, artifact.json records 7");
  Overwrite(Path("model.safetensors"), "");
  EXPECT_EQ(CheckFiles(env_, Recorded()).code(), Code::kDataLoss);
  ExpectDamaged("0 bytes");
  std::filesystem::remove(Path("model.safetensors"));
  EXPECT_EQ(CheckFiles(env_, Recorded()).code(), Code::kDataLoss);
  ExpectDamaged("is missing");
  std::filesystem::create_directory(Path("model.safetensors"));
  EXPECT_EQ(CheckFiles(env_, Recorded()).code(), Code::kDataLoss);
  ExpectDamaged("is a folder");
}

TEST_F(ArtifactFolderTest, WhatCannotBeReadIsNotCalledDamaged) {
  env_.MakeUnreadable("model.safetensors");
  for (const absl::Status& status : {ReadWeights(), VerifyArtifact(env_, Recorded())}) {
    EXPECT_EQ(status.code(), Code::kInternal) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr("Input/output error"));
  }
  env_.MakeUnreadable(kArtifactFileName);
  EXPECT_EQ(ReadArtifact(env_, dir_.path()).status().code(), Code::kInternal);
  env_.MakeReadable();
  EXPECT_TRUE(ReadWeights().ok());
}

TEST_F(ArtifactFolderTest, AnotherArtifactThanExpectedIsRefused) {
  const absl::Status status = ReadWeights(std::string(64, '0'));
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(MessageOf(status), HasSubstr("content digest 9a129038"));
}

TEST_F(ArtifactFolderTest, AFolderWithoutRecordIsReadUnlessADigestIsExpected) {
  std::filesystem::remove(Path(kArtifactFileName));
  FlipBit(Path("model.safetensors"), 3);
  EXPECT_TRUE(ReadWeights().ok());
  EXPECT_EQ(ReadWeights(Sha256::Of("weights")).code(), Code::kFailedPrecondition);
  EXPECT_EQ(ReadArtifact(env_, dir_.path()).status().code(), Code::kNotFound);
}

TEST_F(ArtifactFolderTest, AFileIsComparedWithTheRecordBesideIt) {
  EXPECT_TRUE(VerifyBesideRecord(env_, Path("job.toml")).ok());
  FlipBit(Path("job.toml"), 0);
  EXPECT_EQ(VerifyBesideRecord(env_, Path("job.toml")).code(), Code::kDataLoss);
  Overwrite(Path("other"), "x");
  EXPECT_TRUE(VerifyBesideRecord(env_, Path("other")).ok()) << "not of the artifact";
}

TEST_F(ArtifactFolderTest, FieldsThatGiveAnotherFingerprintAreDamage) {
  Artifact artifact = Recorded();
  artifact.record.fields[0].value = "2";
  EXPECT_EQ(VerifyArtifact(env_, artifact).code(), Code::kDataLoss);
}

// A published generation with its record.
class CacheArtifactTest : public CacheTest {
 protected:
  CacheArtifactTest() {
    artifact_.record.kind = jobs::StageKind::kTokens;
    artifact_.record.path = dir_.path();
    artifact_.record.fingerprint = kDataset;
    artifact_.record.content_digest = Build(3).content_digest;
    artifact_.files = *DescribeFiles(env_, dir_.path(), artifact_.record.kind);
    Record();
  }
  void Record() { Overwrite(dir_.Path(kArtifactFileName), ArtifactToText(artifact_)); }
  absl::Status TryOpen() {
    auto reader = ArtifactReader::Open(env_, dir_.path());
    return reader.ok() ? reader->OpenCache().status() : reader.status();
  }

  Env& env_ = *Env::Posix();
  Artifact artifact_;
};

TEST_F(CacheArtifactTest, OpensWhenWhole) {
  const absl::Status status = TryOpen();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(CacheArtifactTest, EveryByteOfItsManifestIsGuarded) {
  const std::string manifest = JoinPath(Generation(), "manifest.json");
  const uint64_t size = Read(manifest).size();
  for (uint64_t at = 0; at < size; ++at) {
    FlipBit(manifest, at);
    EXPECT_EQ(TryOpen().code(), Code::kDataLoss) << at;
    FlipBit(manifest, at);
  }
  EXPECT_TRUE(TryOpen().ok());
}

TEST_F(CacheArtifactTest, AMissingTableIsDamageAnotherContentToo) {
  const std::string table = FilesEnding(Generation(), ".sst").front();
  const std::string bytes = Read(table);
  std::filesystem::remove(table);
  EXPECT_EQ(TryOpen().code(), Code::kDataLoss);
  Overwrite(table, bytes);
  EXPECT_TRUE(TryOpen().ok());
  artifact_.record.content_digest = std::string(64, '0');
  Record();
  const absl::Status status = TryOpen();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(MessageOf(status), HasSubstr("artifact.json records 0000"));
}

TEST_F(CacheArtifactTest, IsNoNetwork) {
  auto reader = ArtifactReader::Open(env_, dir_.path());
  const absl::Status status = reader->Verified("model.safetensors").status();
  EXPECT_THAT(MessageOf(status), HasSubstr("an artifact of the tokens stage"));
}

}  // namespace
}  // namespace halcyon::storage
