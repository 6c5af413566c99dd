// The fuzzers' checks on mutated files, with a fixed seed: the same in every build.
#include <gtest/gtest.h>

#include "base/philox.h"
#include "tests/fuzz/storage_parsers.h"
#include "tests/storage/checkpoint_fixture.h"

namespace halcyon::storage {
namespace {

constexpr uint64_t kMutants = 5000;

// Up to four edits: a bit flipped, bytes removed, bytes repeated, a byte set to one that matters.
std::string Mutate(std::string bytes, const PhiloxStream& stream) {
  static constexpr std::string_view kBytes = "\"{}[],:0129-+.eE\\u \n\xff";
  uint64_t draw = 0;
  const uint64_t edits = 1 + stream.Below(draw++, 4);
  for (uint64_t edit = 0; edit < edits && !bytes.empty(); ++edit) {
    const size_t at = stream.Below(draw++, bytes.size());
    const size_t length = std::min<size_t>(bytes.size() - at, 1 + stream.Below(draw++, 24));
    switch (stream.Below(draw++, 4)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << stream.Below(draw++, 8)));
        break;
      case 1:
        bytes.erase(at, length);
        break;
      case 2:
        bytes.insert(at, bytes.substr(at, length));
        break;
      default:
        bytes[at] = kBytes[stream.Below(draw++, kBytes.size())];
    }
  }
  return bytes;
}

// How many of the mutants the check accepted.
template <typename Check>
uint64_t RunMutants(const std::string& original, Check check) {
  EXPECT_TRUE(check(original));
  uint64_t accepted = 0;
  for (uint64_t mutant = 0; mutant < kMutants; ++mutant) {
    const PhiloxStream stream(20240917, NoiseStream::kEvaluation, 0, mutant);
    accepted += check(Mutate(original, stream)) ? 1 : 0;
  }
  return accepted;
}

class ParserMutationTest : public CheckpointTest {
 protected:
  void SetUp() override { ASSERT_TRUE(Write({.step = 100, .world_size = 2}).ok()); }
};

TEST_F(ParserMutationTest, SafetensorsHeader) {
  const std::string file = *env_.ReadFile(Path(100, "rank-0-of-2.safetensors"));
  const uint64_t accepted = RunMutants(file, CheckSafetensorsParser);
  // Edits of data or of names are no business of the header; most others must be noticed.
  EXPECT_GT(accepted, kMutants / 100);
  EXPECT_LT(accepted, kMutants / 2);
}

TEST_F(ParserMutationTest, Manifest) {
  const uint64_t accepted =
      RunMutants(*env_.ReadFile(Path(100, "manifest.json")), CheckManifestParser);
  EXPECT_GT(accepted, kMutants / 100);
  EXPECT_LT(accepted, kMutants / 2);
}

}  // namespace
}  // namespace halcyon::storage
