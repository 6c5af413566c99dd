// The parsers on damaged files, with a fixed seed: they must refuse or accept, and what they accept
// must hold together. The sanitizer builds look for the rest.
#include <gtest/gtest.h>

#include "base/digest.h"
#include "pipeline/npy.h"
#include "pipeline/utf8.h"
#include "tests/pipeline/source_fixture.h"
#include "tests/pipeline/tokenizer/naive_bpe.h"
#include "tests/testing/mutate.h"

namespace halcyon::pipeline {
namespace {

class MutationTest : public SourceTest {
 protected:
  // How many of `mutants` damaged copies `accepts` takes; it must take the original.
  template <typename Accepts>
  uint64_t Accepted(const std::string& original, uint64_t mutants, Accepts accepts) {
    EXPECT_TRUE(accepts(original));
    uint64_t accepted = 0;
    for (uint64_t mutant = 0; mutant < mutants; ++mutant) {
      accepted += accepts(testing::Mutate(original, mutant)) ? 1 : 0;
    }
    return accepted;
  }
};

TEST_F(MutationTest, TokenizerJson) {
  constexpr uint64_t kMutants = 2000;
  const std::string json = TrainOn({RandomProse(1, 300)}, 300)->ToJson();
  const std::string prose = RandomProse(2, 50);
  const uint64_t accepted = Accepted(json, kMutants, [&](const std::string& mutant) {
    const auto tokenizer = Tokenizer::FromBytes(mutant, "mutant");
    if (!tokenizer.ok()) {
      EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
      return false;
    }
    EXPECT_TRUE((*tokenizer)->Decode(Encode(*tokenizer, prose)).ok());
    const auto again = Tokenizer::FromBytes((*tokenizer)->ToJson(), "again");
    EXPECT_TRUE(again.ok() && (*again)->ToJson() == (*tokenizer)->ToJson());
    return true;
  });
  // Much of the file is layout and members that are not looked at.
  EXPECT_GT(accepted, kMutants / 100);
  EXPECT_LT(accepted, kMutants / 2);
}

TEST_F(MutationTest, JsonLines) {
  constexpr uint64_t kMutants = 5000;
  data_.format = jobs::DataFormat::kJsonl;
  Write("a.jsonl", "");
  const std::string lines =
      "{\"text\": \"one \\u00e9 \\ud83d\\ude00 \\\\ \\\"\", \"n\": [1, 2.5e3, null]}\n\n"
      "{\"id\": {\"text\": true}, \"text\": \"two\"}\n";
  const uint64_t accepted = Accepted(lines, kMutants, [&](const std::string& mutant) {
    Replace("a.jsonl", mutant);
    const SourceShard shard{0, dir_.Path("a.jsonl"), 0, mutant.size(), Xxh3(mutant)};
    const auto documents = Read({shard});
    if (!documents.ok()) {
      EXPECT_EQ(documents.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_NE(MessageOf(documents.status()).find("a.jsonl:"), std::string::npos);
      return false;
    }
    for (const std::string& document : *documents) EXPECT_TRUE(IsValidUtf8(document));
    return true;
  });
  EXPECT_GT(accepted, kMutants / 100);
  EXPECT_LT(accepted, kMutants / 2);
}

TEST_F(MutationTest, Npy) {
  constexpr uint64_t kMutants = 5000;
  const std::string path = dir_.Path("ids.npy");
  ASSERT_TRUE(WriteNpy(path, std::vector<uint32_t>(40, 0x01020304)).ok());
  const std::string file = *Env::Posix()->ReadFile(path);
  const uint64_t accepted = Accepted(file, kMutants, [&](const std::string& mutant) {
    Replace("ids.npy", mutant);
    const auto values = ReadNpy(path);
    if (values.ok()) {
      EXPECT_EQ(values->size(), 40u);
      return true;
    }
    EXPECT_EQ(values.status().code(), absl::StatusCode::kInvalidArgument);
    return false;
  });
  // A flipped bit of an id is no business of the format.
  EXPECT_GT(accepted, kMutants / 100);
  EXPECT_LT(accepted, kMutants / 2);
}

}  // namespace
}  // namespace halcyon::pipeline
