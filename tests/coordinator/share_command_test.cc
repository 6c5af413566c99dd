// A state folder that two users of a group share, through the program itself. It needs root, to
// become two users.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/env.h"
#include "coordinator/run_job.h"
#include "storage/home.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

using ::halcyon::testing::TempDir;
using ::testing::HasSubstr;
using ::testing::Not;

// Numbers that no user or group of the machine has.
constexpr uid_t kAnna = 61'001, kBert = 61'002;
constexpr gid_t kLab = 61'100;

class ShareCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can become two users";
    ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
    // Where other users can reach it.
    ASSERT_TRUE(std::filesystem::copy_file(HALCYON_PROGRAM, dir_.Path("halcyon")));
    // A worker that ends at once, so that a job fails soon after it has begun.
    Write("worker", "#!/bin/sh\nexit 3\n", 0755);
    Write("text.txt", "some text\n", 0644);
    for (const char* user : {"anna", "bert"}) {
      Write(std::string(user) + ".toml",
            "name = \"" + std::string(user) + "\"\n[data]\nsources = [\"text.txt\"]\n", 0644);
    }
    ASSERT_EQ(mkdir(home_.root.c_str(), 0700), 0);
    ASSERT_EQ(chown(home_.root.c_str(), kAnna, kLab), 0);
    ASSERT_EQ(Run(kAnna, {"home", "share", "--group", std::to_string(kLab)}), 0) << output_;
    ASSERT_NE(Run(kAnna, {"run", dir_.Path("anna.toml")}), 0);
    job_ = JobIdOf("anna", dir_.Path("anna.toml")).value();
    ASSERT_TRUE(Env::Posix()->Exists(home_.JobSpec(job_))) << output_;
  }
  void Write(const std::string& name, const std::string& text, mode_t mode) {
    ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), dir_.Path(name), text).ok());
    ASSERT_EQ(chmod(dir_.Path(name).c_str(), mode), 0);
  }
  // The exit code; what it prints goes to output_. With an umask that gives others nothing.
  int Run(uid_t uid, std::vector<std::string> words) {
    words.insert(words.begin(), {dir_.Path("halcyon"), "--home", home_.root});
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string printed = dir_.Path("printed");
    const pid_t child = fork();
    if (child == 0) {
      const gid_t groups[] = {kLab};
      umask(0077);
      const int file = open(printed.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      dup2(file, 1);
      dup2(file, 2);
      setenv("HALCYON_WORKER", dir_.Path("worker").c_str(), 1);
      setenv("HOME", "/", 1);
      if (setgroups(1, groups) != 0 || setresgid(uid, uid, uid) != 0 ||
          setresuid(uid, uid, uid) != 0 || chdir("/") != 0)
        _exit(99);
      execv(argv[0], argv.data());
      _exit(98);
    }
    int status = 0;
    waitpid(child, &status, 0);
    output_ = Env::Posix()->ReadFile(printed).value_or("");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void ExpectRefused(uid_t uid, const std::vector<std::string>& words, const std::string& why) {
    EXPECT_NE(Run(uid, words), 0) << words[0];
    EXPECT_THAT(output_, HasSubstr(why)) << words[0];
  }

  TempDir dir_;
  const storage::HomeLayout home_{dir_.Path("home")};
  std::string job_, output_;
};

TEST_F(ShareCommandTest, AMemberSeesTheJobsOfAnotherAndRunsOnlyTheirOwn) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"list"}, {"status", job_}, {"why", job_}, {"logs", job_}, {"cache", "list"}}) {
    EXPECT_EQ(Run(kBert, words), 0) << words[0] << ": " << output_;
    EXPECT_THAT(output_, Not(HasSubstr("ermission"))) << words[0];
  }
  EXPECT_EQ(Run(kBert, {"cache", "explain", dir_.Path("bert.toml")}), 0) << output_;
  ExpectRefused(kBert, {"cancel", job_}, "only they can cancel it");
  ExpectRefused(kBert, {"rm", job_}, "only they can remove it");
  ExpectRefused(kBert, {"run", dir_.Path("anna.toml")}, "only they can run it");
  ExpectRefused(kBert, {"resume", job_}, "only they can run it");
  ExpectRefused(kBert, {"submit", dir_.Path("bert.toml"), "--launcher", "local"}, "has no queue");
  ExpectRefused(kBert, {"coordinator", "--once"}, "has no queue");

  Run(kBert, {"run", dir_.Path("bert.toml")});
  const std::string of_bert = JobIdOf("bert", dir_.Path("bert.toml")).value();
  EXPECT_EQ(Run(kAnna, {"list"}), 0);
  EXPECT_THAT(output_, HasSubstr(of_bert));
  EXPECT_EQ(Run(kAnna, {"logs", of_bert}), 0) << output_;
  ExpectRefused(kAnna, {"home", "share", "--off"}, "belongs to user " + std::to_string(kBert));
  EXPECT_EQ(Run(kBert, {"rm", of_bert}), 0) << output_;
}

TEST_F(ShareCommandTest, KeysStayTheirUsers) {
  size_t contacts = 0;
  for (const char* name : {"contact.json", "curve.json"}) {
    struct stat info;
    if (stat(JoinPath(home_.Job(job_), name).c_str(), &info) != 0) continue;
    EXPECT_EQ(info.st_mode & ALLPERMS, 0600u) << name;
    ++contacts;
  }
  EXPECT_GE(contacts, 1u);
  EXPECT_EQ(Run(kAnna, {"home", "share", "--group", std::to_string(kLab)}), 0) << output_;
  struct stat info;
  ASSERT_EQ(stat(JoinPath(home_.Job(job_), "contact.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & ALLPERMS, 0600u);
}

TEST_F(ShareCommandTest, ModesThatContradictAreRefusedWithWhatToDo) {
  ASSERT_EQ(chmod(JoinPath(home_.root, "work").c_str(), 0770), 0);
  ExpectRefused(kBert, {"run", dir_.Path("bert.toml")}, "halcyon home share --group");
  ExpectRefused(kBert, {"home", "share", "--group", std::to_string(kLab)}, "who decides");
  EXPECT_EQ(Run(kAnna, {"home", "share", "--group", std::to_string(kLab)}), 0) << output_;
  EXPECT_EQ(Run(kBert, {"cache", "explain", dir_.Path("bert.toml")}), 0) << output_;
  EXPECT_EQ(Run(kAnna, {"rm", job_}), 0) << output_;
  EXPECT_EQ(Run(kAnna, {"home", "share", "--off"}), 0) << output_;
  ExpectRefused(kBert, {"list"}, "Permission denied");
}

}  // namespace
}  // namespace halcyon::coordinator
