// A world that something else has started: its environment, and the files between coordinator and
// members. Members are objects here; their ranks are real processes.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <map>

#include "base/clock.h"
#include "cluster/external_launcher.h"
#include "cluster/external_member.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::cluster {
namespace {

// --- the environment ---

std::map<std::string, std::string> Environment() {
  return {{"RANK", "3"},
          {"LOCAL_RANK", "1"},
          {"WORLD_SIZE", "4"},
          {"MASTER_ADDR", "node-0.lab"},
          {"MASTER_PORT", "29500"}};
}

absl::StatusOr<ExternalWorld> WorldOf(const std::map<std::string, std::string>& environment) {
  return ExternalWorldOf([&](const std::string& name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(ExternalWorld, IsReadFromTheEnvironment) {
  const auto world = WorldOf(Environment());
  ASSERT_TRUE(world.ok()) << world.status();
  EXPECT_EQ(*world, (ExternalWorld{3, 1, 4, "node-0.lab", 29500, false}));
  auto with_store = Environment();
  with_store["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  EXPECT_TRUE(WorldOf(with_store)->has_store);
}

TEST(ExternalWorld, NamesTheVariableThatIsMissingOrWrong) {
  for (const auto& [name, value] : Environment()) {
    auto environment = Environment();
    environment.erase(name);
    const auto world = WorldOf(environment);
    EXPECT_TRUE(absl::IsInvalidArgument(world.status())) << name;
    EXPECT_TRUE(
        MessageOf(world.status()).starts_with("the environment variable " + name + " is not set"))
        << world.status();
  }
  const std::vector<std::array<const char*, 3>> wrong = {
      {"RANK", "4", "RANK=4 in the environment contradicts WORLD_SIZE=4"},
      {"RANK", "0", "LOCAL_RANK=1 in the environment contradicts RANK=0"},
      {"RANK", "3x", "RANK=3x in the environment is no number from 0 to 1023"},
      {"WORLD_SIZE", "0", "WORLD_SIZE=0 in the environment is no number from 1 to 1024"},
      {"LOCAL_WORLD_SIZE", "1", "LOCAL_RANK=1 in the environment contradicts LOCAL_WORLD_SIZE=1"},
      {"MASTER_ADDR", "a b", "MASTER_ADDR in the environment is no name or address of a host"},
      {"MASTER_PORT", "70000", "MASTER_PORT=70000 in the environment is no number from 1 to 65535"},
  };
  for (const auto& [name, value, message] : wrong) {
    auto environment = Environment();
    environment[name] = value;
    EXPECT_EQ(MessageOf(WorldOf(environment).status()), message);
  }
}

// --- members and launcher ---

class ExternalTest : public ::testing::Test {
 protected:
  ExternalTest() : launcher_(MakeExternalLauncher(env_, clock_, dir_.path(), 2)) {}

  std::unique_ptr<ExternalMember> Join(int rank, int size = 2) {
    MemberOptions options;
    options.folder = folder();
    options.world = {rank, rank, size, "localhost", 29500, false};
    options.coordinator_sign = [this] { return sign_; };
    options.signals = [this] { return signals_; };
    auto member = std::make_unique<ExternalMember>(env_, clock_, options);
    EXPECT_TRUE(member->Join().ok());
    return member;
  }

  // The script is run by each rank with its number as $RANK_HERE.
  std::unique_ptr<Gang> Launch(const std::string& script) {
    GangOptions options;
    options.name = "small-model-" + std::to_string(++launches_);
    options.ranks = 2;
    options.argv = {"/bin/sh", "-c", script, dir_.path()};
    options.env = {{"WHERE", dir_.path()}};
    options.log_path = dir_.path() + "/log";
    options.working_dir = dir_.path();
    auto gang = launcher_->Launch(options);
    EXPECT_TRUE(gang.ok()) << gang.status();
    return *std::move(gang);
  }

  // Turns of all members and a look at the gang, until `done`.
  bool TurnUntil(Gang& gang, const std::vector<ExternalMember*>& members,
                 const std::function<bool()>& done) {
    return Clock::Real()->WaitFor(
        [&] {
          clock_.AdvanceMs(kMemberLookMs);
          for (ExternalMember* member : members) EXPECT_FALSE(member->Turn().has_value());
          gang.Poll();
          return done();
        },
        20'000);
  }
  std::optional<GangEnd> EndOf(Gang& gang, const std::vector<ExternalMember*>& members) {
    EXPECT_TRUE(TurnUntil(gang, members, [&] { return gang.Poll().has_value(); }));
    return gang.Poll();
  }
  std::string folder() const { return ExternalFolder(dir_.path()); }
  MemberNote NoteOf(int rank) { return *ReadNote(env_, folder(), rank); }

  testing::TempDir dir_;
  Env& env_ = *Env::Posix();
  SimulatedClock clock_{1'000'000};
  std::string sign_ = "1";
  int signals_ = 0;
  int launches_ = 0;
  std::unique_ptr<GangLauncher> launcher_;
};

TEST_F(ExternalTest, ALaunchWaitsForAllMembersAndNamesThoseThatAreMissing) {
  const auto first = Join(0);
  auto gang = Launch("echo $HALCYON_EXTERNAL_LAUNCH > $WHERE/ran-$$");
  EXPECT_TRUE(TurnUntil(*gang, {first.get()}, [&] {
    return gang->waits_for().starts_with("1 of 2 members are here, missing: rank 1; ");
  })) << gang->waits_for();
  const auto second = Join(1);
  const auto end = EndOf(*gang, {first.get(), second.get()});
  ASSERT_TRUE(end.has_value());
  EXPECT_TRUE(end->ok()) << end->ToString();
  EXPECT_EQ(gang->waits_for(), "");
  EXPECT_EQ(gang->launcher(), std::nullopt);
  // Both have run it once, under the same name.
  std::vector<std::string> names;
  const auto entries = env_.ListDir(dir_.path());
  ASSERT_TRUE(entries.ok());
  for (const std::string& name : *entries) {
    if (name.starts_with("ran-")) names.push_back(*env_.ReadFile(dir_.path() + "/" + name));
  }
  ASSERT_EQ(names.size(), 2u);
  EXPECT_EQ(names[0], names[1]);
  EXPECT_TRUE(names[0].starts_with("small-model-1/1/")) << names[0];
}

TEST_F(ExternalTest, OneWorldServesManyLaunches) {
  const auto first = Join(0), second = Join(1);
  for (int launch = 1; launch <= 3; ++launch) {
    auto gang = Launch("echo x >> $WHERE/count");
    const auto end = EndOf(*gang, {first.get(), second.get()});
    EXPECT_TRUE(end && end->ok());
    EXPECT_EQ(env_.ReadFile(dir_.path() + "/count")->size(), 2u * 2u * launch);
  }
}

TEST_F(ExternalTest, TheFirstFailureEndsTheOtherRanksAndIsTheGangs) {
  const auto first = Join(0), second = Join(1);
  // One of the two makes the folder, and fails.
  auto gang = Launch("mkdir $WHERE/made && exit 3; touch $WHERE/sleeps; exec sleep 1000");
  const auto end = EndOf(*gang, {first.get(), second.get()});
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->ToString(), "exit code 3");
  EXPECT_FALSE(end->ok());
  EXPECT_FALSE(NoteOf(0).is_running || NoteOf(1).is_running);
}

TEST_F(ExternalTest, AKilledGangEndsOnAllMembers) {
  const auto first = Join(0), second = Join(1);
  auto gang = Launch("exec sleep 1000");
  const std::vector<ExternalMember*> members = {first.get(), second.get()};
  ASSERT_TRUE(
      TurnUntil(*gang, members, [&] { return NoteOf(0).is_running && NoteOf(1).is_running; }));
  gang->Kill();
  const auto end = EndOf(*gang, members);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->ToString(), "killed by signal 9 (Killed)");
}

TEST_F(ExternalTest, AKillBeforeAllAreThereStartsNothing) {
  const auto first = Join(0);
  auto gang = Launch("exit 0");
  gang->Kill();
  EXPECT_FALSE(gang->Poll()->ok());
  EXPECT_TRUE(absl::IsNotFound(ReadOrder(folder()).status()));
}

TEST_F(ExternalTest, AMemberThatEndsFailsTheGangAndItsSuccessorWaitsForTheNext) {
  const auto first = Join(0);
  auto second = Join(1);
  auto gang = Launch("touch $WHERE/ran-$$; exec sleep 1000");
  ASSERT_TRUE(TurnUntil(*gang, {first.get(), second.get()},
                        [&] { return NoteOf(0).is_running && NoteOf(1).is_running; }));
  second = nullptr;
  second = Join(1);
  const auto end = EndOf(*gang, {first.get(), second.get()});
  ASSERT_TRUE(end.has_value());
  EXPECT_TRUE(end->ToString().starts_with("the member of rank 1 (pid ")) << end->ToString();
  EXPECT_TRUE(end->ToString().ends_with("was started in another one's place")) << end->ToString();
  EXPECT_EQ(NoteOf(1).launch, 1u) << "seen, and not started";
  EXPECT_FALSE(NoteOf(1).exit.has_value());
  auto next = Launch("exit 0");
  const auto next_end = EndOf(*next, {first.get(), second.get()});
  EXPECT_TRUE(next_end && next_end->ok());
}

TEST_F(ExternalTest, AnotherCoordinatorAdoptsALaunchThatRuns) {
  const auto first = Join(0), second = Join(1);
  const std::vector<ExternalMember*> members = {first.get(), second.get()};
  auto gang = Launch("while test ! -e $WHERE/go; do sleep 0.02; done");
  const nlohmann::json record = gang->record();
  EXPECT_TRUE(absl::IsNotFound(launcher_->Adopt(record).status())) << "not published yet";
  ASSERT_TRUE(
      TurnUntil(*gang, members, [&] { return NoteOf(0).is_running && NoteOf(1).is_running; }));
  gang->Leave();
  gang.reset();
  launcher_ = MakeExternalLauncher(env_, clock_, dir_.path(), 2);
  auto adopted = launcher_->Adopt(record);
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  EXPECT_FALSE((*adopted)->Poll().has_value());
  ASSERT_TRUE(WriteFileAtomically(env_, dir_.path() + "/go", "").ok());
  const auto end = EndOf(**adopted, members);
  EXPECT_TRUE(end && end->ok());
  // One that was killed is not adopted.
  auto killed = Launch("exec sleep 1000");
  ASSERT_TRUE(TurnUntil(*killed, members, [&] { return NoteOf(0).is_running; }));
  const nlohmann::json killed_record = killed->record();
  killed = nullptr;
  EXPECT_TRUE(absl::IsNotFound(launcher_->Adopt(killed_record).status()));
}

TEST_F(ExternalTest, AWorldOfAnotherSizeIsRefused) {
  const auto first = Join(0, /*size=*/3);
  auto gang = Launch("exit 0");
  const auto end = EndOf(*gang, {first.get()});
  ASSERT_TRUE(end.has_value());
  EXPECT_TRUE(absl::IsInvalidArgument(end->failure));
  EXPECT_TRUE(end->ToString().ends_with("is of a world of 3 (WORLD_SIZE), launch.ranks is 2"))
      << end->ToString();
}

TEST_F(ExternalTest, MembersEndWithTheJob) {
  const auto first = Join(0);
  launcher_->JobEnded(3);
  const auto end = first->Turn();
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->value_or(-1), 3);
  // One that comes later is for the next run of the job.
  const auto later = Join(0);
  EXPECT_FALSE(later->Turn().has_value());
  launcher_->JobEnded(0);
  EXPECT_EQ(later->Turn()->value_or(-1), 0);
}

TEST_F(ExternalTest, AMemberEndsWhenItMustOrHasNoCoordinatorOrASuccessor) {
  const auto first = Join(0);
  clock_.AdvanceMs(599'000);
  EXPECT_FALSE(first->Turn().has_value());
  sign_ = "2";  // there is one
  clock_.AdvanceMs(2000);
  EXPECT_FALSE(first->Turn().has_value());
  clock_.AdvanceMs(600'000);
  EXPECT_TRUE(absl::IsUnavailable(first->Turn()->status()));

  const auto second = Join(1), successor = Join(1);
  clock_.AdvanceMs(kMemberBeatMs);
  EXPECT_TRUE(absl::IsAborted(second->Turn()->status()));
  EXPECT_FALSE(successor->Turn().has_value());
  signals_ = 1;
  EXPECT_TRUE(absl::IsAborted(successor->Turn()->status()));
}

// As when all processes of a job are told to end, and its coordinator has the ranks save.
TEST_F(ExternalTest, AMemberThatIsSignalledLetsItsRankEndByItself) {
  const auto first = Join(0), second = Join(1);
  const std::vector<ExternalMember*> members = {first.get(), second.get()};
  const auto running = [&] { return NoteOf(0).is_running && NoteOf(1).is_running; };
  auto gang = Launch("while test ! -e $WHERE/go; do sleep 0.02; done; exit 4");
  ASSERT_TRUE(TurnUntil(*gang, members, running));
  signals_ = 1;
  EXPECT_FALSE(first->Turn().has_value() || second->Turn().has_value());
  ASSERT_TRUE(WriteFileAtomically(env_, dir_.path() + "/go", "").ok());
  for (ExternalMember* member : members) {
    EXPECT_TRUE(Clock::Real()->WaitFor([&] { return member->Turn().has_value(); }, 20'000));
  }
  clock_.AdvanceMs(kMemberLookMs);
  EXPECT_EQ(gang->Poll().value_or(GangEnd{}).ToString(), "exit code 4");

  signals_ = 0;
  auto third = Join(0);
  const auto fourth = Join(1);
  auto longer = Launch("exec sleep 1000");
  ASSERT_TRUE(TurnUntil(*longer, {third.get(), fourth.get()}, running));
  signals_ = 1;
  EXPECT_FALSE(third->Turn().has_value());
  clock_.AdvanceMs(MemberOptions().stop_grace_ms);
  EXPECT_TRUE(absl::IsAborted(third->Turn()->status()));
  third = nullptr;
  EXPECT_FALSE(NoteOf(0).is_running);
  signals_ = 0;
  const auto fifth = Join(0), sixth = Join(1);
  auto last = Launch("exec sleep 1000");
  ASSERT_TRUE(TurnUntil(*last, {fifth.get(), sixth.get()}, running));
  signals_ = 2;
  EXPECT_TRUE(absl::IsAborted(fifth->Turn()->status()));
}

// Processes of other machines are not looked up; their beats are watched.
TEST_F(ExternalTest, AMemberElsewhereIsThereWhileItsBeatChanges) {
  MemberWatch watch(env_, clock_, folder(), 1);
  ASSERT_TRUE(env_.CreateDirs(folder()).ok());
  MemberNote note;
  note.id = "a";
  note.process = {"elsewhere", "another boot", "", {1, 1}};
  const auto look = [&](int64_t later_ms) {
    clock_.AdvanceMs(later_ms);
    watch.Look();
    return watch.life(0);
  };
  const auto beat = [&] {
    ++note.beat;
    EXPECT_TRUE(WriteNote(env_, folder(), note).ok());
  };
  EXPECT_EQ(look(0), MemberWatch::Life::kGone);
  beat();
  EXPECT_EQ(look(kMemberLookMs), MemberWatch::Life::kUnknown) << "an old note, perhaps";
  beat();
  EXPECT_EQ(look(kMemberLookMs), MemberWatch::Life::kHere);
  EXPECT_EQ(look(kMemberGoneMs - 1), MemberWatch::Life::kHere);
  EXPECT_EQ(look(kMemberLookMs), MemberWatch::Life::kGone);
  beat();
  EXPECT_EQ(look(kMemberLookMs), MemberWatch::Life::kHere);
  note.has_left = true;
  beat();
  EXPECT_EQ(look(kMemberLookMs), MemberWatch::Life::kGone);
}

TEST_F(ExternalTest, AnOrderThatOthersMayWriteIsNotObeyed) {
  const auto first = Join(0);
  ASSERT_TRUE(WriteOrder(folder(), LaunchOrder{}).ok());
  ASSERT_EQ(chmod((folder() + "/order").c_str(), 0620), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(first->Turn()->status()));
}

TEST_F(ExternalTest, DamagedFilesAreErrors) {
  ASSERT_TRUE(env_.CreateDirs(folder()).ok());
  ASSERT_TRUE(WriteFileAtomically(env_, folder() + "/member-0", "{\"id\": 3}").ok());
  EXPECT_TRUE(absl::IsDataLoss(ReadNote(env_, folder(), 0).status()));
  ASSERT_TRUE(WriteFileAtomically(env_, folder() + "/order", "{").ok());
  ASSERT_EQ(chmod((folder() + "/order").c_str(), 0600), 0);
  EXPECT_TRUE(absl::IsDataLoss(ReadOrder(folder()).status()));
  EXPECT_TRUE(absl::IsDataLoss(launcher_->Adopt({{"launcher", "external"}}).status()));
}

}  // namespace
}  // namespace halcyon::cluster
