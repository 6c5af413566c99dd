// Jobs whose ranks read copies of the caches on a disk of their host.
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/env.h"
#include "tests/end_to_end/small_job.h"

namespace halcyon {
namespace {

std::string InQuotes(const std::string& text) { return "\"" + text + "\""; }

class CacheCopiesTest : public testing::Test {
 protected:
  // What the logs of the job's ranks say.
  std::string RankLogs(SmallJob& job) {
    Env& env = *Env::Posix();
    const std::string logs =
        job.home() + "/jobs/" + job.Status().value("job_id", std::string()) + "/logs";
    std::string text;
    for (const std::string& name : env.ListDir(logs).value_or(std::vector<std::string>())) {
      if (name.find("rank") != name.npos) text += env.ReadFile(logs + "/" + name).value_or("");
    }
    return text;
  }
};

TEST_F(CacheCopiesTest, TheWeightsAreThoseOfAJobWithoutCopies) {
  // One that cannot copy: it says so, and reads the state folder.
  SmallJob plain("cache_copies_none");
  plain.values()["launch.copy_caches_to"] = InQuotes(plain.root() + "/none");
  plain.Write();
  const RunResult without = plain.Run();
  ASSERT_TRUE(without.status.ok()) << without.output;
  EXPECT_NE(without.output.find("latents are read from the state folder, not from a copy in"),
            std::string::npos)
      << without.output;

  // One of whose ranks is killed while it copies; the next launch does it.
  SmallJob job("cache_copies");
  const std::string local = job.root() + "/local";
  ASSERT_TRUE(Env::Posix()->CreateDirs(local).ok());
  job.values()["launch.copy_caches_to"] = InQuotes(local);
  job.Write();
  const RunResult with = job.Run({{"HALCYON_FAULT_POINT", "copy before the manifest"},
                                  {"HALCYON_FAULT_MARKER", job.root() + "/fault"}});
  ASSERT_TRUE(with.status.ok()) << with.output;
  EXPECT_TRUE(Env::Posix()->Exists(job.root() + "/fault-0")) << "no rank was killed";
  EXPECT_EQ(with.output.find("are read from the state folder"), std::string::npos) << with.output;
  for (const std::string stage : {"autoencoder", "model"}) {
    EXPECT_EQ(job.WeightsOf(stage), plain.WeightsOf(stage)) << stage;
  }
  // Of the tokens and the latents, each once for all ranks and stages.
  const auto copies = Env::Posix()->ListDir(local + "/halcyon-" + std::to_string(geteuid()));
  ASSERT_TRUE(copies.ok()) << copies.status();
  EXPECT_EQ(copies->size(), 3u) << "and the lock";
  const std::string logs = RankLogs(job);
  size_t copied = 0;
  for (size_t at = logs.find(": copied "); at != logs.npos; at = logs.find(": copied ", at + 1)) {
    ++copied;
  }
  EXPECT_EQ(copied, 2u) << logs;
}

}  // namespace
}  // namespace halcyon
