// The parsers on damaged files, with a fixed seed: they must refuse or accept, and what they accept
// must hold together. The sanitizer builds look for the rest.
#include <gtest/gtest.h>

#include "base/digest.h"
#include "pipeline/npy.h"
#include "pipeline/token_files/stored_ids.h"
#include "pipeline/token_files/token_documents.h"
#include "pipeline/utf8.h"
#include "tests/fuzz/token_file_parser.h"
#include "tests/pipeline/source_fixture.h"
#include "tests/pipeline/token_file_bytes.h"
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
    const SourceRange range{dir_.Path("a.jsonl"), 0, mutant.size(), Xxh3(mutant)};
    const auto documents = Read({range});
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
    const auto values = ReadIds(*Env::Posix(), path, uint64_t{1} << 32);
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

TEST_F(MutationTest, FilesOfIds) {
  constexpr uint64_t kMutants = 5000;
  const std::vector<int64_t> ids(40, 0x0102);
  for (const std::string& file : {NpyOf("<u2", ids), LlmcOf(20240520, 1, ids, 2)}) {
    for (const auto type : {jobs::TokenType::kAuto, jobs::TokenType::kUint32}) {
      Accepted(file, kMutants,
               [&](const std::string& mutant) { return CheckTokenLayoutParser(mutant, type); });
      for (size_t size = 0; size < file.size(); ++size) {
        EXPECT_FALSE(CheckTokenLayoutParser(file.substr(0, size), jobs::TokenType::kAuto)) << size;
      }
    }
  }
}

TEST_F(MutationTest, MegatronIndices) {
  constexpr uint64_t kMutants = 20000;
  const std::string file = MegatronIndexOf(8, 2, {{3, 1}, {}, {5, 0, 7}, {1}});
  const uint64_t accepted = Accepted(file, kMutants, CheckMegatronIndexParser);
  // A type of as many bytes, or a shift between neighbouring documents.
  EXPECT_LT(accepted, kMutants / 20);
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(CheckMegatronIndexParser(file.substr(0, size))) << size;
  }
}

// Every bit of ids, header and index: what the shards depend on is noticed, as an error of one of
// the two readings.
TEST_F(MutationTest, AnyBitOfIdsAndIndexThatFlipsAfterThePlanIsNoticed) {
  data_.format = jobs::DataFormat::kTokens;
  const std::string ids = Integers({1, 2, 3, 4, 5, 6}, 2);
  const std::string index = MegatronIndexOf(8, 2, {{1, 1}, {}, {3}, {1}});
  Write("a.bin", ids);
  Write("a.idx", index);
  const auto plan = Plan();
  ASSERT_EQ(plan.size(), 1u);
  const auto read = [&] {
    std::vector<std::vector<uint32_t>> documents;
    const auto counts =
        ReadTokenDocuments(*Env::Posix(), data_, plan[0], std::vector<bool>(1 << 16, true),
                           [&](std::span<const uint32_t> one, double) {
                             documents.emplace_back(one.begin(), one.end());
                             return absl::OkStatus();
                           });
    EXPECT_TRUE(counts.ok() || absl::IsFailedPrecondition(counts.status())) << counts.status();
    return std::pair(counts.ok(), documents);
  };
  const auto good = read();
  ASSERT_TRUE(good.first);
  for (const auto& [name, bytes] : {std::pair("a.bin", ids), std::pair("a.idx", index)}) {
    for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
      Replace(name, damaged);
      const auto [is_read, documents] = read();
      // Where a sequence within a document begins does not matter to the documents.
      EXPECT_TRUE(!is_read || documents == good.second) << name << " bit " << bit;
    }
    Replace(name, bytes);
  }
}

}  // namespace
}  // namespace halcyon::pipeline
