// Every value that a job file may hold, through all that is computed from a job file before
// anything runs: a refusal with its line or an answer, never a check failure. The sanitizer builds
// look for overflow.
#include <gtest/gtest.h>

#include "jobs/estimate.h"
#include "jobs/stage_identity.h"
#include "jobs/text_counts.h"
#include "tests/jobs/random_spec.h"

namespace halcyon::jobs {
namespace {

constexpr uint64_t kRandomJobs = 4000;

JobSpec JobToChange() {
  JobSpec spec;
  spec.name = "range";
  spec.data.sources = {"/texts/a.txt", "/texts/b.txt"};
  return spec;
}

void ExpectUsable(const JobSpec& spec) {
  const auto again = ParseJobSpec(ToToml(spec), "again.toml", "/", /*check_files=*/false);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, spec);
  for (const std::string& warning : Warnings(spec)) EXPECT_FALSE(warning.empty());
  std::map<StageKind, std::string> digests;
  for (const StageKind kind : StagesOf(spec)) {
    for (const StageKind input : InputsOf(kind, spec)) EXPECT_TRUE(digests.contains(input));
    digests[kind] = IdentityOf(kind, spec, {"a", "b"}, digests, "tokenizer").Fingerprint();
  }
  for (const int64_t vocab_size : {VocabularyMin(spec), spec.tokenizer.vocab_size}) {
    for (const TrainingEstimate& estimate : EstimateTraining(spec, vocab_size)) {
      EXPECT_GT(estimate.parameters, 0u);
      EXPECT_GE(estimate.memory_bytes, 16 * estimate.parameters);
      EXPECT_GE(estimate.disk_bytes, 16 * estimate.parameters);
    }
  }
  for (const uint64_t chunks : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 40}) {
    TextCounts counts{chunks, chunks, chunks, chunks, chunks, chunks};
    const absl::Status status = CheckText(spec, counts);
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
    WhyNoScore(spec, counts);
    LatentBytes(spec, chunks);
  }
}

// Parses the spec's own text. Returns whether it was taken.
bool Try(const JobSpec& spec) {
  const auto parsed = ParseJobSpec(ToToml(spec), "job.toml", "/", /*check_files=*/false);
  if (!parsed.ok()) {
    EXPECT_TRUE(absl::IsInvalidArgument(parsed.status()));
    EXPECT_EQ(MessageOf(parsed.status()).rfind("job.toml:", 0), 0u) << parsed.status();
    return false;
  }
  ExpectUsable(*parsed);
  return true;
}

TEST(JobSpecRange, TheEndsOfEveryRange) {
  JobSpec spec = JobToChange();
  const std::vector<SpecKey> keys = KeysOf(spec);
  for (const SpecKey& key : keys) {
    SCOPED_TRACE(key.Path());
    if (const auto* integer = std::get_if<IntegerKey>(&key.value)) {
      for (const int64_t end : {integer->min, integer->max}) {
        spec = JobToChange();
        *integer->value = end;
        Try(spec);
      }
    } else if (const auto* number = std::get_if<NumberKey>(&key.value)) {
      for (const double end : {number->interval.min, number->interval.max}) {
        spec = JobToChange();
        if (!number->interval.Contains(end)) continue;
        *number->value = end;
        Try(spec);
      }
    } else if (const auto* choice = std::get_if<ChoiceKey>(&key.value)) {
      for (size_t i = 0; i < choice->choices.size(); ++i) {
        spec = JobToChange();
        choice->set(i);
        Try(spec);
      }
    }
  }
}

TEST(JobSpecRange, RandomJobs) {
  uint64_t accepted = 0;
  for (uint64_t number = 0; number < kRandomJobs; ++number) {
    const JobSpec spec = RandomSpec(number).Change(JobToChange());
    SCOPED_TRACE("case " + std::to_string(number) + ":\n" + ToToml(spec));
    accepted += Try(spec) ? 1 : 0;
    if (::testing::Test::HasFailure()) return;
  }
  // Both outcomes occur often.
  EXPECT_GT(accepted, kRandomJobs / 10);
  EXPECT_LT(accepted, kRandomJobs * 9 / 10);
}

}  // namespace
}  // namespace halcyon::jobs
