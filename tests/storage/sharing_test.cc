// A state folder that a group shares: modes, and what two users of the group can do in it. The
// latter needs root, to become two users.
#include "storage/sharing.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <rocksdb/status.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>

#include "base/env.h"
#include "base/group_rights.h"
#include "storage/lease.h"
#include "storage/rocks.h"
#include "storage/storage.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::storage {
namespace {

using ::halcyon::testing::TempDir;
using ::testing::HasSubstr;

// Numbers that no user or group of the machine has.
constexpr uid_t kAnna = 61'001, kBert = 61'002;
constexpr gid_t kLab = 61'100;

mode_t ModeOf(const std::string& path) {
  struct stat info;
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & ALLPERMS;
}
gid_t GroupOf(const std::string& path) {
  struct stat info;
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_gid;
}

// Runs it in a process of that user, in the group and with an umask that gives others nothing; the
// text that it returns, "" for good, is the result.
std::string As(uid_t uid, const std::function<std::string()>& run, mode_t mask = 0077) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    umask(mask);
    std::string result = "cannot become the user";
    const gid_t groups[] = {kLab};
    if (setgroups(1, groups) == 0 && setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0)
      result = run();
    const ssize_t written = write(ends[1], result.data(), result.size());
    _exit(written == static_cast<ssize_t>(result.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string result(1 << 16, '\0');
  size_t size = 0;
  for (ssize_t got; (got = read(ends[0], &result[size], result.size() - size)) > 0;) size += got;
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  result.resize(size);
  return status == 0 ? result : "the process ended with " + std::to_string(status);
}

std::string Text(const absl::Status& status) { return status.ok() ? "" : MessageOf(status); }

class SharingTest : public ::testing::Test {
 protected:
  HomeLayout Opened() { return *OpenHome(root_); }
  static std::string OwnGroup() { return std::to_string(getegid()); }
  void Write(const std::string& path, mode_t mode) {
    ASSERT_TRUE(Env::Posix()->CreateDirs(DirName(path)).ok());
    ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), path, "text").ok());
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
  }

  TempDir dir_;
  const std::string root_ = dir_.Path("home");
};

TEST_F(SharingTest, AFolderIsPrivateAlsoInOneOfAGroup) {
  ASSERT_EQ(chmod(dir_.path().c_str(), 02775), 0);
  const HomeLayout home = Opened();
  EXPECT_EQ(ModeOf(home.root), 0700u);
  EXPECT_EQ(ModeOf(DirName(home.Job("any"))), 0700u);
  Write(home.JobSpec("job-1"), 0644);
  EXPECT_FALSE(ReadSharing(home)->has_value());
}

TEST_F(SharingTest, SharingSetsAndChecksModes) {
  const HomeLayout home = Opened();
  const std::string job = home.Job("job-1");
  Write(home.JobSpec("job-1"), 0600);
  Write(JoinPath(home.JobLogs("job-1"), "coordinator.log"), 0600);
  Write(JoinPath(job, "curve.json"), 0600);
  Write(JoinPath(job, "contact.json"), 0600);
  const std::string artifact = JoinPath(home.Artifact("tokens", std::string(16, 'a')), "data");
  Write(artifact, 0644);
  Write(JoinPath(home.root, "notes"), 0600);

  const auto shared = ShareHome(home, OwnGroup());
  ASSERT_TRUE(shared.ok()) << shared.status();
  EXPECT_EQ(ReadSharing(home)->value().gid, getegid());
  EXPECT_EQ(ModeOf(home.root), 02770u);
  for (const char* name : {"artifacts", "claims", "sources", "work"}) {
    EXPECT_EQ(ModeOf(JoinPath(home.root, name)), 02770u) << name;
  }
  EXPECT_EQ(ModeOf(DirName(job)), 03770u);
  EXPECT_EQ(ModeOf(job), 02750u);
  EXPECT_EQ(ModeOf(home.JobLogs("job-1")), 02750u);
  EXPECT_EQ(ModeOf(home.JobSpec("job-1")), 0640u);
  EXPECT_EQ(ModeOf(JoinPath(home.JobLogs("job-1"), "coordinator.log")), 0640u);
  EXPECT_EQ(ModeOf(DirName(artifact)), 02770u);
  EXPECT_EQ(ModeOf(artifact), 0660u);
  EXPECT_EQ(ModeOf(home.Format()), 0640u);
  for (const char* name : {"curve.json", "contact.json"}) {
    EXPECT_EQ(ModeOf(JoinPath(job, name)), 0600u) << name;
  }
  EXPECT_EQ(ModeOf(JoinPath(home.root, "notes")), 0600u);
  EXPECT_TRUE(OpenHome(root_).ok());

  ASSERT_TRUE(UnshareHome(home).ok());
  EXPECT_FALSE(ReadSharing(home)->has_value());
  EXPECT_EQ(ModeOf(home.root), 0700u);
  EXPECT_EQ(ModeOf(job), 0700u);
  EXPECT_EQ(ModeOf(artifact), 0600u);
  EXPECT_TRUE(OpenHome(root_).ok());
}

TEST_F(SharingTest, ModesThatContradictAreRefused) {
  const HomeLayout home = Opened();
  const std::string work = JoinPath(root_, "work");
  ASSERT_EQ(chmod(work.c_str(), 0770), 0);
  const absl::Status open = OpenHome(root_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(open));
  EXPECT_THAT(MessageOf(open), HasSubstr("chmod g-w " + work));
  for (const std::string& folder : {root_, work}) {
    ASSERT_EQ(chmod(work.c_str(), 0700), 0);
    ASSERT_EQ(chmod(folder.c_str(), 0707), 0);
    const absl::Status everybodys = OpenHome(root_).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(everybodys));
    EXPECT_THAT(MessageOf(everybodys), HasSubstr("chmod o-w " + folder));
    ASSERT_EQ(chmod(folder.c_str(), 0700), 0);
  }
  ASSERT_TRUE(ShareHome(home, OwnGroup()).ok());
  ASSERT_EQ(chmod(work.c_str(), 0770), 0);
  const absl::Status without_setgid = OpenHome(root_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(without_setgid));
  EXPECT_THAT(MessageOf(without_setgid), HasSubstr("halcyon home share --group"));
  ASSERT_TRUE(ShareHome(home, OwnGroup()).ok());
  EXPECT_TRUE(OpenHome(root_).ok());
}

TEST_F(SharingTest, WhatCannotBeSharedIsRefused) {
  const HomeLayout home = Opened();
  EXPECT_TRUE(absl::IsInvalidArgument(ShareHome(home, "no-such-group").status()));
  ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), home.Sharing(), "{}").ok());
  EXPECT_TRUE(absl::IsDataLoss(OpenHome(root_).status()));
}

// The cache's files are RocksDB's, which knows a full disk, and a quota only by the system's text.
TEST(Quota, AQuotaThatIsUsedUpIsAFullDisk) {
  const auto error = [](int number) {
    return FromRocks(rocksdb::Status::IOError("While appending to 000012.sst", strerror(number)),
                     "cannot write");
  };
  EXPECT_TRUE(absl::IsResourceExhausted(error(EDQUOT)));
  EXPECT_TRUE(absl::IsInternal(error(EIO)));
  EXPECT_TRUE(absl::IsResourceExhausted(FromRocks(rocksdb::Status::NoSpace(), "cannot write")));
}

class TwoUsersTest : public SharingTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can become two users";
    ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
    ASSERT_EQ(mkdir(root_.c_str(), 0700), 0);
    ASSERT_EQ(chown(root_.c_str(), kAnna, kAnna), 0);
    ASSERT_EQ(As(kAnna, [&] { return Text(OpenHome(root_).status()); }), "");
    ASSERT_EQ(As(kAnna, [&] { return Text(ShareHome(home_, std::to_string(kLab)).status()); }), "");
  }
  const HomeLayout home_{root_};
};

TEST_F(TwoUsersTest, AMemberReadsAJobOfAnotherAndCannotChangeIt) {
  Env& env = *Env::Posix();
  ASSERT_EQ(
      As(kAnna,
         [&] {
           OpenHome(root_).status().IgnoreError();
           const absl::Status owned = OwnJobFolder(env, home_, "job-1");
           if (!owned.ok()) return Text(owned);
           env.CreateDirs(home_.JobLogs("job-1")).IgnoreError();
           CreateFile(JoinPath(home_.JobLogs("job-1"), "run.log"), O_WRONLY).status().IgnoreError();
           return Text(WriteFileAtomically(env, home_.JobSpec("job-1"), "spec"));
         }),
      "");
  EXPECT_EQ(GroupOf(home_.JobSpec("job-1")), kLab);
  const auto as_bert = [&](const std::function<absl::Status()>& run) {
    return As(kBert, [&] { return Text(run()); });
  };
  EXPECT_EQ(as_bert([&] { return OpenHome(root_).status(); }), "");
  EXPECT_EQ(as_bert([&] { return env.ReadFile(home_.JobSpec("job-1")).status(); }), "");
  EXPECT_EQ(
      as_bert([&] { return env.ReadFile(JoinPath(home_.JobLogs("job-1"), "run.log")).status(); }),
      "");
  EXPECT_THAT(as_bert([&] { return OwnJobFolder(env, home_, "job-1"); }),
              HasSubstr("only they can run it"));
  EXPECT_THAT(as_bert([&] { return CheckIsOwnJob(home_, "job-1", "cancel"); }),
              HasSubstr("only they can cancel it"));
  // The system keeps it, whatever the program does.
  EXPECT_THAT(as_bert([&] {
                return WriteFileAtomically(env, JoinPath(home_.Job("job-1"), "requests"), "x");
              }),
              HasSubstr("Permission denied"));
  EXPECT_THAT(as_bert([&] { return env.Rename(home_.Job("job-1"), home_.Job("job-2")); }),
              HasSubstr("Operation not permitted"));
  EXPECT_EQ(as_bert([&] { return OwnJobFolder(env, home_, "job-2"); }), "");
}

TEST_F(TwoUsersTest, AMemberTakesOverAStageThatAnotherHasLeft) {
  Env& env = *Env::Posix();
  const std::string fingerprint(16, 'a');
  const std::string claim = home_.Claim("tokens", fingerprint);
  const std::string work = home_.Work("tokens", fingerprint);
  const auto take = [&]() -> std::string {
    OpenHome(root_).status().IgnoreError();
    LeaseSeeker seeker(env, *Clock::Real(), claim, ThisProcess("a job"));
    auto lease = seeker.TryTake();
    if (!lease.ok() || *lease == nullptr) return "no lease: " + Text(lease.status());
    // A process that is killed does not give the lease up.
    (**lease).Abandon();
    env.CreateDirs(work).IgnoreError();
    return Text(WriteFileAtomically(env, JoinPath(work, "fence"), "1"));
  };
  ASSERT_EQ(As(kAnna, take), "");
  // The process that took it has ended: on this machine that is seen at once.
  EXPECT_EQ(As(kBert, take), "");
  EXPECT_EQ(As(kAnna, take), "");
  const std::string artifact = home_.Artifact("tokens", fingerprint);
  EXPECT_EQ(As(kBert,
               [&] {
                 env.CreateDirs(DirName(artifact)).IgnoreError();
                 return Text(env.Rename(work, artifact));
               }),
            "");
  EXPECT_EQ(As(kAnna, [&] { return Text(env.RemoveTree(artifact)); }), "");
}

TEST_F(TwoUsersTest, AMemberGoesOnWithACacheThatAnotherHasBegun) {
  const std::string work = home_.Work("tokens", std::string(16, 'c'));
  const std::string dataset(64, 'c');
  std::vector<std::string> notes;
  // Files are large enough to stay as they are: another's may be one that cannot be linked.
  const auto open = [&](uint64_t claim) {
    OpenHome(root_).status().IgnoreError();
    return CacheBuilder::Open(*Env::Posix(), JoinPath(work, "building"), dataset,
                              {.claim = claim, .merged_bytes = 1}, &notes);
  };
  const auto add = [&](uint64_t claim, uint32_t shard) -> std::string {
    auto builder = open(claim);
    if (!builder.ok()) return Text(builder.status());
    const std::string path = JoinPath(work, "building/" + std::to_string(shard) + ".sst");
    auto writer = ShardWriter::Create(path, dataset, shard, 1);
    if (!writer.ok()) return Text(writer.status());
    const auto file = (*writer)->Finish({});
    if (!file.ok()) return Text(file.status());
    return Text((*builder)->Ingest({{*file, shard, 1}}).at(0).status());
  };
  EXPECT_EQ(As(
                kAnna, [&] { return add(1, 0); }, 0007),
            "");
  EXPECT_EQ(As(
                kBert, [&] { return add(2, 1); }, 0007),
            "");
  EXPECT_EQ(As(
                kAnna,
                [&] {
                  auto builder = open(3);
                  return Text(builder.ok()
                                  ? (*builder)->Publish(JoinPath(work, "generation"), 2).status()
                                  : builder.status());
                },
                0007),
            "");
  EXPECT_EQ(
      As(kBert,
         [&] { return Text(CacheReader::Open(JoinPath(work, "generation"), dataset).status()); }),
      "");
}

TEST_F(TwoUsersTest, AProcessOfAnotherUserThatLivesKeepsItsLease) {
  Env& env = *Env::Posix();
  const std::string claim = home_.Claim("tokens", std::string(16, 'b'));
  LeaseSeeker of_this_process(env, *Clock::Real(), claim, ThisProcess("a job"));
  const auto lease = of_this_process.TryTake();
  ASSERT_TRUE(lease.ok() && *lease != nullptr);
  EXPECT_EQ(As(kBert,
               [&] {
                 LeaseSeeker seeker(env, *Clock::Real(), claim, ThisProcess("another"));
                 const auto taken = seeker.TryTake();
                 return taken.ok() && *taken == nullptr ? std::string()
                                                        : "took it: " + Text(taken.status());
               }),
            "");
}

TEST_F(TwoUsersTest, SharingDoesNotEndWhileAnotherMemberHasSomethingThere) {
  Env& env = *Env::Posix();
  ASSERT_EQ(As(kBert, [&] { return Text(OwnJobFolder(env, home_, "job-of-bert")); }), "");
  EXPECT_THAT(As(kAnna, [&] { return Text(UnshareHome(home_)); }),
              HasSubstr("belongs to user " + std::to_string(kBert)));
  EXPECT_THAT(As(kBert, [&] { return Text(UnshareHome(home_)); }), HasSubstr("who decides"));
  EXPECT_EQ(ModeOf(root_), 02770u);
  ASSERT_EQ(As(kBert, [&] { return Text(env.RemoveTree(home_.Job("job-of-bert"))); }), "");
  EXPECT_EQ(As(kAnna, [&] { return Text(UnshareHome(home_)); }), "");
  EXPECT_EQ(ModeOf(root_), 0700u);
}

}  // namespace
}  // namespace halcyon::storage
