// Random damage to a valid job file: whatever comes, the parser answers with a spec or with lines
// that each name the file and a line in it. The seed is fixed, so a failure repeats.
#include <gtest/gtest.h>

#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "base/philox.h"
#include "jobs/job_spec.h"

namespace halcyon::jobs {
namespace {

constexpr uint64_t kSeed = 20240607;
constexpr uint64_t kCases = 1500;

std::string ValidToml() {
  JobSpec spec;
  spec.name = "fuzz";
  spec.data.sources = {"/texts/a.txt", "/texts/b.txt"};
  return ToToml(spec);
}

// Deals out the numbers of one case one after the other.
class Dice {
 public:
  explicit Dice(uint64_t fuzz_case) : stream_(kSeed, NoiseStream::kEvaluation, 0, fuzz_case) {}
  size_t Below(size_t bound) { return stream_.Below(next_++, bound); }

 private:
  PhiloxStream stream_;
  uint64_t next_ = 0;
};

void Mutate(Dice& dice, std::string* toml) {
  static const std::vector<std::string> kPieces = {"[",
                                                   "]",
                                                   "[[",
                                                   "]]",
                                                   "=",
                                                   "\"",
                                                   "'''",
                                                   "\"\"\"",
                                                   "\n",
                                                   "\r",
                                                   "#",
                                                   ".",
                                                   ",",
                                                   "{",
                                                   "}",
                                                   "nan",
                                                   "-inf",
                                                   "1e999",
                                                   "9223372036854775808",
                                                   "0x7fffffffffffffff",
                                                   "-1",
                                                   "true",
                                                   "1979-05-27",
                                                   "\\u0000",
                                                   "\\",
                                                   "\xff",
                                                   "\xc3\xa9",
                                                   "[data]\n",
                                                   "[train.steps]\n",
                                                   "name = 1\n",
                                                   "[[data.sources]]\n",
                                                   "autoencoder.train.steps = 5\n",
                                                   std::string(1, '\0')};
  const size_t at = dice.Below(toml->size() + 1);
  const size_t length = dice.Below(12);
  switch (dice.Below(6)) {
    case 0:
      toml->insert(at, kPieces[dice.Below(kPieces.size())]);
      break;
    case 1:
      toml->erase(at, length);
      break;
    case 2:
      toml->insert(at, toml->substr(dice.Below(toml->size() + 1), 4 * length));
      break;
    case 3:
      if (at < toml->size()) (*toml)[at] = static_cast<char>(dice.Below(256));
      break;
    case 4: {
      const size_t begin = at == 0 ? 0 : toml->rfind('\n', at - 1) + 1;  // npos + 1 is 0
      toml->erase(begin, toml->find('\n', begin) - begin);
      break;
    }
    default:
      toml->replace(at, std::min(length, toml->size() - at), kPieces[dice.Below(kPieces.size())]);
  }
}

TEST(JobSpecFuzz, DamageGivesASpecOrLinesThatSayWhere) {
  const std::regex error_line(R"(job\.toml:[1-9][0-9]*: \S[^\n]*: \S[^\n]*)");
  const std::string valid = ValidToml();
  uint64_t accepted = 0;
  for (uint64_t fuzz_case = 0; fuzz_case < kCases; ++fuzz_case) {
    Dice dice(fuzz_case);
    std::string toml = valid;
    const size_t mutations = 1 + dice.Below(4);
    for (size_t i = 0; i < mutations; ++i) Mutate(dice, &toml);
    SCOPED_TRACE("case " + std::to_string(fuzz_case) + ":\n" + toml);

    const auto spec = ParseJobSpec(toml, "job.toml", "/base", /*check_files=*/false);
    if (spec.ok()) {
      ++accepted;
      const auto again = ParseJobSpec(ToToml(*spec), "again.toml", "/", /*check_files=*/false);
      ASSERT_TRUE(again.ok()) << again.status();
      ASSERT_EQ(*again, *spec);
      continue;
    }
    ASSERT_TRUE(absl::IsInvalidArgument(spec.status()));
    std::istringstream lines(MessageOf(spec.status()));
    for (std::string line; std::getline(lines, line);) {
      ASSERT_TRUE(std::regex_match(line, error_line)) << line;
    }
  }
  // Both outcomes occur often.
  EXPECT_GT(accepted, kCases / 50);
  EXPECT_LT(accepted, kCases / 2);
}

TEST(JobSpecFuzz, PrefixesOfAFileAreRefusedOrRead) {
  const std::string valid = ValidToml();
  for (size_t size = 0; size < valid.size(); size += 3) {
    const auto spec = ParseJobSpec(valid.substr(0, size), "job.toml", "/", /*check_files=*/false);
    ASSERT_TRUE(spec.ok() || absl::IsInvalidArgument(spec.status())) << size;
  }
}

}  // namespace
}  // namespace halcyon::jobs
