// The script that Slurm runs, run by bash in Slurm's place, with a program in Halcyon's place.
#include "coordinator/submit/slurm_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/env.h"
#include "cluster/command.h"
#include "cluster/process.h"
#include "coordinator/submit/shell.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kEndMsMax = 60'000;

TEST(ShellQuoted, IsOneWordOfTheseBytes) {
  for (const std::string& text :
       {std::string("plain"), std::string(""), std::string("two words"), std::string("it's"),
        std::string("$(id) `id` $HOME ${x}"), std::string("\"a\\b\""), std::string("a\nb\tc"),
        std::string("*?[a]~#!&|;<>(){}"), std::string("-n"), std::string("'"),
        std::string("''\\''"), std::string("~"), std::string("a=b"),
        std::string("\xC3\xA9t\xC3\xA9"), std::string("\x01\x7f\xff"), std::string("100%")}) {
    const auto printed = cluster::RunCommand(
        {"/bin/sh", "-c", "printf '%s|' " + ShellQuoted(text) + " end"}, kEndMsMax);
    ASSERT_TRUE(printed.ok()) << printed.status();
    EXPECT_EQ(printed->out, text + "|end|");
  }
  EXPECT_EQ(ShellCommand({"/usr/bin/halcyon", "--home", "/a b"}), "/usr/bin/halcyon --home '/a b'");
}

TEST(SbatchQuoted, RefusesWhatSbatchCannotTake) {
  EXPECT_EQ(*SbatchQuoted("a b#c'd", "x"), "\"a b#c'd\"");
  for (const char* bad : {"a\"b", "a\\b", "a\nb"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(SbatchQuoted(bad, "the path").status())) << bad;
  }
}

class SlurmScriptTest : public ::testing::Test {
 protected:
  SlurmScriptTest() {
    options_.job_id = "job-1";
    options_.submission_id = "sub-1";
    options_.logs = dir_.Path("100% logs");
    options_.home = dir_.Path("it's a home");
    options_.program = dir_.Path("halcyon");
    options_.spec_path = dir_.Path("job.toml");
    options_.set = {"train.steps=5", "name with $(id)"};
    options_.ranks = 5;
    options_.threads = 3;
    options_.slurm.nodes = 2;
  }
  std::string Script() {
    auto script = SlurmScript(options_);
    EXPECT_TRUE(script.ok()) << script.status();
    return script.value_or("");
  }
  // What `halcyon` does: `body` is a shell's text; its words are "$@".
  void Program(const std::string& body) {
    const std::string text = "#!/bin/bash\necho \"$@\" >>" + ShellQuoted(dir_.Path("calls")) +
                             "\nif [ \"$3\" = requeue ]; then exit 0; fi\ncd " +
                             ShellQuoted(dir_.path()) + "\n" + body + "\n";
    ASSERT_TRUE(WriteFileAtomically(env_, options_.program, text).ok());
    ASSERT_EQ(chmod(options_.program.c_str(), 0755), 0);
  }
  std::unique_ptr<cluster::ChildProcess> Start() {
    EXPECT_TRUE(WriteFileAtomically(env_, dir_.Path("script"), Script()).ok());
    auto child = cluster::ChildProcess::Spawn({.argv = {"/bin/bash", dir_.Path("script")},
                                               .env = {},
                                               .output_path = dir_.Path("output")});
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }
  int CodeOf(cluster::ChildProcess& script) {
    std::optional<cluster::ExitStatus> exit;
    Clock::Real()->WaitFor([&] { return (exit = script.Poll()).has_value(); }, kEndMsMax);
    EXPECT_TRUE(exit.has_value());
    return exit ? exit->code : -1;
  }
  bool WaitForFile(const std::string& name) {
    return Clock::Real()->WaitFor([&] { return env_.Exists(dir_.Path(name)); }, kEndMsMax);
  }
  std::string Read(const std::string& name) { return env_.ReadFile(dir_.Path(name)).value_or(""); }
  size_t RunCalls() {
    const std::string calls = Read("calls");
    size_t count = 0;
    for (size_t at = 0; (at = calls.find(" run ", at)) != std::string::npos; ++at) ++count;
    return count;
  }

  Env& env_ = *Env::Posix();
  testing::TempDir dir_;
  SlurmScriptOptions options_;
};

TEST_F(SlurmScriptTest, AsksForWhatTheJobSays) {
  options_.slurm.partition = "gpu";
  options_.slurm.time = "2-00";
  options_.slurm.gres = "gpu:h100:8";
  options_.slurm.container_image = "nvcr.io#nvidia/pytorch:24.01-py3";
  options_.slurm.options = {{"mail-user", "a@b.org"}, {"exclusive", ""}};
  const std::string script = Script();
  EXPECT_EQ(script.rfind("#!/bin/bash\n", 0), 0u);
  for (const std::string& line :
       {std::string("#SBATCH --job-name=\"job-1\""), std::string("#SBATCH --open-mode=\"append\""),
        "#SBATCH --output=\"" + dir_.Path("100%% logs") + "/slurm-%j.log\"",
        std::string("#SBATCH --signal=\"B:USR1@120\""), std::string("#SBATCH --requeue"),
        std::string("#SBATCH --partition=\"gpu\""), std::string("#SBATCH --time=\"2-00\""),
        std::string("#SBATCH --nodes=2"), std::string("#SBATCH --ntasks-per-node=3"),
        std::string("#SBATCH --cpus-per-task=3"), std::string("#SBATCH --gres=\"gpu:h100:8\""),
        std::string("#SBATCH --container-image=\"nvcr.io#nvidia/pytorch:24.01-py3\""),
        std::string("#SBATCH --mail-user=\"a@b.org\""), std::string("#SBATCH --exclusive")}) {
    EXPECT_THAT(script, HasSubstr("\n" + line + "\n"));
  }
  EXPECT_THAT(script, Not(HasSubstr("--account")));
  // Slurm reads directives up to the first command.
  EXPECT_LT(script.rfind("#SBATCH"), script.find("\nstop="));
}

TEST(SlurmTime, IsReadInAllItsForms) {
  for (const auto& [text, seconds] :
       std::vector<std::pair<std::string, int64_t>>{{"90", 5400},
                                                    {"90:30", 5430},
                                                    {"1:30:15", 5415},
                                                    {"2-12", 216000},
                                                    {"1-1:1", 90060},
                                                    {"1-01:01:01", 90061},
                                                    {"", 0},
                                                    {"x", 0}}) {
    EXPECT_EQ(SlurmTimeSeconds(text), seconds) << text;
  }
}

TEST_F(SlurmScriptTest, TheSignalLeavesTimeForTheJob) {
  options_.slurm.time = "1";
  EXPECT_THAT(Script(), HasSubstr("#SBATCH --signal=\"B:USR1@15\"\n"));
  options_.slurm.time = "1-00";
  EXPECT_THAT(Script(), HasSubstr("#SBATCH --signal=\"B:USR1@120\"\n"));
  options_.slurm.signal_s = 0;
  EXPECT_THAT(Script(), Not(HasSubstr("--signal")));
}

TEST_F(SlurmScriptTest, ADirectiveThatSbatchWouldMisreadIsRefused) {
  options_.logs = "/a\"b";
  EXPECT_TRUE(absl::IsInvalidArgument(SlurmScript(options_).status()));
  options_.logs = "/logs";
  options_.home = "/a\nb";
  EXPECT_TRUE(absl::IsInvalidArgument(SlurmScript(options_).status()));
}

TEST_F(SlurmScriptTest, RunsTheJobWithItsWordsAndEndsAsItDoes) {
  options_.until = "tokens";
  Program("printf '%s\\n' \"$@\" >words; exit 3");
  const auto script = Start();
  EXPECT_EQ(CodeOf(*script), 3) << Read("output");
  EXPECT_EQ(Read("words"), "--home\n" + options_.home + "\nrun\n" + options_.spec_path +
                               "\n--quiet\n--submission\nsub-1\n--set\ntrain.steps=5\n--set\nname "
                               "with $(id)\n--until\ntokens\n");
  EXPECT_THAT(Read("calls"), Not(HasSubstr("requeue")));
  EXPECT_EQ(Read("output"), "");
}

TEST_F(SlurmScriptTest, TheClustersEnvironmentIsSetUpFirst) {
  ASSERT_TRUE(WriteFileAtomically(env_, dir_.Path("init.sh"),
                                  "module() { loaded=\"$loaded $*\"; export loaded; }\n")
                  .ok());
  options_.cluster.init = dir_.Path("init.sh");
  options_.cluster.modules = {"gcc/12", "openmpi/4.1"};
  options_.cluster.variables = {{"SITE", "it's $HOME"}};
  Program("echo \"$loaded|$SITE\" >seen");
  EXPECT_EQ(CodeOf(*Start()), 0) << Read("output");
  EXPECT_EQ(Read("seen"), " load gcc/12 load openmpi/4.1|it's $HOME\n");
  options_.cluster.init = dir_.Path("missing.sh");
  EXPECT_EQ(CodeOf(*Start()), 2);
  EXPECT_THAT(Read("output"), HasSubstr("see cluster.toml"));
}

TEST_F(SlurmScriptTest, AJobThatWasStoppedIsRequeued) {
  Program("exit 4");
  EXPECT_EQ(CodeOf(*Start()), 4);
  EXPECT_THAT(Read("calls"), HasSubstr("requeue job-1\n"));
  options_.slurm.requeue = false;
  ASSERT_TRUE(env_.RemoveFile(dir_.Path("calls")).ok());
  EXPECT_EQ(CodeOf(*Start()), 4);
  EXPECT_THAT(Read("calls"), Not(HasSubstr("requeue")));
  EXPECT_THAT(Script(), HasSubstr("#SBATCH --no-requeue\n"));
}

TEST_F(SlurmScriptTest, WhileSlurmDoesNotAnswerRequeueingIsTriedAgain) {
  const std::string text = "#!/bin/bash\ncd " + ShellQuoted(dir_.path()) +
                           "\nif [ \"$3\" = run ]; then exit 4; fi\n"
                           "echo \"$3\" >>calls; [ \"$(wc -l <calls)\" -ge 2 ] || exit 4\n";
  ASSERT_TRUE(WriteFileAtomically(env_, options_.program, text).ok());
  ASSERT_EQ(chmod(options_.program.c_str(), 0755), 0);
  EXPECT_EQ(CodeOf(*Start()), 4);
  EXPECT_EQ(Read("calls"), "requeue\nrequeue\n");
}

TEST_F(SlurmScriptTest, ASignalReachesTheJobWhichThenTakesItsTime) {
  for (const int number : {SIGUSR1, SIGTERM}) {
    const std::string name = number == SIGUSR1 ? "USR1" : "TERM";
    // The job saves for a while, and gets a second signal meanwhile.
    Program("trap 'touch told-" + name + "; sleep 1; touch saved-" + name + "; exit 4' " + name +
            "\ntouch ready-" + name + "; while :; do sleep 0.05; done");
    const auto script = Start();
    ASSERT_TRUE(WaitForFile("ready-" + name));
    script->Signal(number);
    EXPECT_TRUE(WaitForFile("told-" + name));
    script->Signal(number);
    EXPECT_EQ(CodeOf(*script), 4) << Read("output");
    EXPECT_TRUE(env_.Exists(dir_.Path("saved-" + name))) << "the script did not wait for it";
  }
  EXPECT_EQ(RunCalls(), 2u);
}

TEST_F(SlurmScriptTest, AKilledCoordinatorIsStartedAgainInTheAllocation) {
  Program("echo x >>runs; if [ \"$(wc -l <runs)\" -lt 3 ]; then kill -9 $$; fi; exit 0");
  EXPECT_EQ(CodeOf(*Start()), 0) << Read("output");
  EXPECT_EQ(RunCalls(), 3u);
  EXPECT_THAT(Read("output"), HasSubstr("was killed (exit code 137): started again, 2 of 5"));
}

TEST_F(SlurmScriptTest, AJobThatAStopSignalKilledCountsAsStopped) {
  // The signal comes before the job has handlers.
  Program("touch ready; exec sleep 100");
  const auto script = Start();
  ASSERT_TRUE(WaitForFile("ready"));
  script->Signal(SIGUSR1);
  EXPECT_EQ(CodeOf(*script), 4) << Read("output");
  EXPECT_EQ(RunCalls(), 1u);
  EXPECT_THAT(Read("calls"), HasSubstr("requeue job-1\n"));
}

}  // namespace
}  // namespace halcyon::coordinator
