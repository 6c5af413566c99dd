#include "jobs/slurm_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jobs/job_spec.h"
#include "jobs/spec_overrides.h"

namespace halcyon::jobs {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<JobSpec> ParseSlurm(const std::string& lines) {
  return ParseJobSpec("name = \"a\"\n[data]\nsources = [\"t\"]\n[launch.slurm]\n" + lines + "\n",
                      "job.toml", "/",
                      /*check_files=*/false);
}

std::string ErrorOf(const std::string& lines) {
  const auto spec = ParseSlurm(lines);
  EXPECT_TRUE(absl::IsInvalidArgument(spec.status())) << lines;
  return MessageOf(spec.status());
}

TEST(SlurmKeys, AreReadAndWrittenBack) {
  const auto spec = ParseSlurm(
      "partition = \"gpu\"\ntime = \"2-00:30\"\nnodes = 4\ngres = \"gpu:h100:8\"\n"
      "container_image = \"nvcr.io#nvidia/pytorch:24.01-py3\"\nrequeue = false\n"
      "options = { mail-user = \"a@b.org\", exclusive = \"\", comment = \"two words\" }");
  ASSERT_TRUE(spec.ok()) << spec.status();
  const SlurmSpec& slurm = spec->launch.slurm;
  EXPECT_EQ(slurm.nodes, 4);
  EXPECT_EQ(slurm.time, "2-00:30");
  EXPECT_FALSE(slurm.requeue);
  EXPECT_EQ(slurm.options,
            (std::map<std::string, std::string>{
                {"mail-user", "a@b.org"}, {"exclusive", ""}, {"comment", "two words"}}));
  const auto again = ParseJobSpec(ToToml(*spec), "again.toml", "/", /*check_files=*/false);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, *spec);
  // As a table of its own, too.
  const auto table = ParseSlurm("[launch.slurm.options]\nmail-user = \"a@b.org\"");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->launch.slurm.options.at("mail-user"), "a@b.org");
}

TEST(SlurmKeys, ShellTextIsRefusedWithItsLine) {
  for (const char* value : {"a$(id)", "a`id`", "a;id", "a\\\"b", "a'b", "a\\\\b", "a>b", "a<b",
                            "a{b}", "-p", " a", "a ", "$HOME", "é"}) {
    for (const char* key :
         {"partition", "account", "qos", "gres", "constraint", "exclude", "container_image"}) {
      const std::string error = ErrorOf(std::string(key) + " = \"" + value + "\"");
      EXPECT_THAT(error, HasSubstr("job.toml:5: launch.slurm." + std::string(key)));
      EXPECT_THAT(error, HasSubstr("may not be handed to Slurm"));
    }
  }
  EXPECT_THAT(ErrorOf("partition = \"a\\nb\""), HasSubstr("control character"));
  EXPECT_THAT(ErrorOf("partition = \"" + std::string(1001, 'a') + "\""), HasSubstr("may not"));
}

TEST(SlurmKeys, FurtherOptionsMayNotChangeTheScript) {
  for (const char* own : {"output", "signal", "requeue", "partition", "open-mode"}) {
    EXPECT_THAT(ErrorOf("options = { " + std::string(own) + " = \"x\" }"),
                HasSubstr("is set by halcyon"));
  }
  for (const char* foreign : {"wrap", "array", "export", "chdir", "wait", "uid"}) {
    EXPECT_THAT(ErrorOf("options = { " + std::string(foreign) + " = \"x\" }"),
                HasSubstr("would change how"));
  }
  for (const char* name :
       {"\"--mail-user\"", "\"mail user\"", "\"mail=x\"", "\"m\"", "\"Mail\"", "\"\""}) {
    EXPECT_THAT(ErrorOf("options = { " + std::string(name) + " = \"x\" }"),
                HasSubstr("is not an option of sbatch"));
  }
  EXPECT_THAT(ErrorOf("options = { mail-user = \"a$b\" }"), HasSubstr("holds \"a$b\""));
  EXPECT_THAT(ErrorOf("options = { mail-user = \"a\\nb\" }"), HasSubstr("control character"));
  const std::string two = ErrorOf("options = { wrap = \"x\", array = \"1\" }");
  EXPECT_THAT(two, HasSubstr("launch.slurm.options.wrap"));
  EXPECT_THAT(two, HasSubstr("launch.slurm.options.array"));
  EXPECT_THAT(ErrorOf("options = { nice = 5 }"), HasSubstr("expected a table of strings, found"));
  EXPECT_THAT(ErrorOf("options = [\"nice\"]"), HasSubstr("expected a table of strings, found"));
}

TEST(SlurmKeys, TimesAreThoseOfSbatch) {
  for (const char* good : {"1", "90", "90:30", "12:00:00", "2-00", "2-12:30", "2-12:30:59"}) {
    EXPECT_TRUE(IsSlurmTime(good)) << good;
  }
  for (const char* bad :
       {"", "1h", "-1", "1:2:3:4", "1-", "1-2:3:4:5", "infinite", "1 2", "12:000"}) {
    EXPECT_FALSE(IsSlurmTime(bad)) << bad;
  }
  EXPECT_THAT(ErrorOf("time = \"2h\""), HasSubstr("\"2h\" is not a time as sbatch takes it"));
}

TEST(SlurmKeys, TheCommandLineMaySetThem) {
  const auto overrides =
      ParseOverrides({"launch.slurm.partition=long", "launch.slurm.options={nice = \"10\"}"});
  ASSERT_TRUE(overrides.ok()) << overrides.status();
  EXPECT_EQ(overrides->size(), 2u);
}

}  // namespace
}  // namespace halcyon::jobs
