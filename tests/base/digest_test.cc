// Known answers: SHA-256 from FIPS 180-4's examples, XXH3 from the published vectors of xxHash.
#include "base/digest.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/testing/temp_dir.h"

namespace halcyon {
namespace {

constexpr char kEmptySha256[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr char kAbcSha256[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kMillionASha256[] =
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(Sha256::Of(""), kEmptySha256);
  EXPECT_EQ(Sha256::Of("abc"), kAbcSha256);
  EXPECT_EQ(Sha256::Of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, PiecesGiveTheDigestOfTheWhole) {
  Sha256 hash;
  for (int i = 0; i < 1000; ++i) hash.Update(std::string(1000, 'a'));
  Sha256 moved = std::move(hash);
  EXPECT_EQ(moved.HexDigest(), kMillionASha256);
}

TEST(Sha256, OfAFile) {
  const testing::TempDir dir;
  const std::string path = dir.Path("a");
  // Larger than the buffer that the file is read through.
  std::ofstream(path) << std::string(1000000, 'a') << std::string(1000000, 'b');
  EXPECT_EQ(Sha256OfFile(path).value(),
            Sha256::Of(std::string(1000000, 'a') + std::string(1000000, 'b')));
  std::ofstream(path, std::ios::trunc) << "abc";
  EXPECT_EQ(Sha256OfFile(path).value(), kAbcSha256);
  std::ofstream(path, std::ios::trunc).flush();
  EXPECT_EQ(Sha256OfFile(path).value(), kEmptySha256);
}

TEST(Sha256, OfAFileThatCannotBeRead) {
  const testing::TempDir dir;
  EXPECT_EQ(Sha256OfFile(dir.Path("none")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Sha256OfFile(dir.path()).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Xxh3, KnownAnswers) {
  EXPECT_EQ(Xxh3(""), 0x2d06800538d394c2ull);
  EXPECT_EQ(Xxh3("abc"), 0x78af5f94892f3950ull);
  EXPECT_NE(Xxh3(std::string(1, '\0')), Xxh3(""));
}

TEST(Hex64, SixteenDigits) {
  EXPECT_EQ(Hex64(0), "0000000000000000");
  EXPECT_EQ(Hex64(0xABCDEF), "0000000000abcdef");
  EXPECT_EQ(Hex64(~uint64_t{0}), "ffffffffffffffff");
}

}  // namespace
}  // namespace halcyon
