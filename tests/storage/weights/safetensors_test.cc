#include "storage/weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/digest.h"
#include "tests/storage/power_cut_env.h"

namespace halcyon::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The file of a header and its data; the header's length is as given unless `length` says
// otherwise.
std::string FileOf(const std::string& header, const std::string& data,
                   std::optional<uint64_t> length = std::nullopt) {
  const uint64_t value = length.value_or(header.size());
  std::string start(8, '\0');
  std::memcpy(start.data(), &value, start.size());
  return start + header + data;
}

absl::StatusOr<SafetensorsHeader> Parse(const std::string& file) {
  return ParseSafetensorsHeader(file, file.size());
}

void ExpectRefused(const std::string& file, const std::string& reason) {
  const auto header = Parse(file);
  ASSERT_FALSE(header.ok()) << "accepted, expected: " << reason;
  EXPECT_EQ(header.status().code(), absl::StatusCode::kDataLoss) << header.status();
  EXPECT_THAT(MessageOf(header.status()), HasSubstr(reason));
}

// A file with one F32 tensor whose entry is `entry`, over `bytes` bytes of data.
std::string FileWithEntry(const std::string& entry, size_t bytes) {
  return FileOf("{\"t\":" + entry + "}", std::string(bytes, 'x'));
}

class SafetensorsTest : public ::testing::Test {
 protected:
  std::unique_ptr<SafetensorsFile> Open(const std::string& bytes) {
    env_.NewWritableFile("/f").value()->Append(bytes).IgnoreError();
    auto file = SafetensorsFile::Open(env_, "/f");
    EXPECT_TRUE(file.ok()) << file.status();
    return file.ok() ? *std::move(file) : nullptr;
  }

  testing::PowerCutEnv env_;
};

// Bytes as the reference implementation (safetensors 0.8.0, Python) writes them for
// {"b": int16 [[1,2],[3,-4]], "a": float32 [1.5,-2], "empty": float32 [0,3], "scalar": int64 7,
// "flag": [True, False]} with metadata {"format": "np"}.
std::string FileOfReference() {
  return FileOf(
      R"({"__metadata__":{"format":"np"},"scalar":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},)"
      R"("empty":{"dtype":"F32","shape":[0,3],"data_offsets":[16,16]},)"
      R"("b":{"dtype":"I16","shape":[2,2],"data_offsets":[16,24]},)"
      R"("flag":{"dtype":"BOOL","shape":[2],"data_offsets":[24,26]}})",
      std::string("\x07\0\0\0\0\0\0\0\0\0\xc0?\0\0\0\xc0\x01\0\x02\0\x03\0\xfc\xff\x01\0", 26),
      0x140);
}

TEST_F(SafetensorsTest, ReadsTheReferenceImplementationsFile) {
  const auto file = Open(FileOfReference());
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->header().file_bytes, 354u);
  EXPECT_EQ(file->header().metadata, (std::map<std::string, std::string>{{"format", "np"}}));
  EXPECT_EQ(file->header().tensors.size(), 5u);
  EXPECT_EQ(file->Find("scalar")->shape, std::vector<int64_t>());
  EXPECT_EQ(file->Find("empty")->bytes, 0u);
  EXPECT_THAT(file->Find("b")->shape, ElementsAre(2, 2));
  EXPECT_EQ(file->Find("flag")->dtype, DType::kBool);
  EXPECT_EQ(*file->Read("scalar"), std::string("\x07\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(*file->Read("empty"), "");
  float a[2];
  std::memcpy(a, file->Read("a")->data(), sizeof(a));
  EXPECT_THAT(a, ElementsAre(1.5f, -2.0f));
}

TEST_F(SafetensorsTest, WritesWhatTheReferenceImplementationWouldButForTheOrderOfNames) {
  const int64_t scalar = 7;
  const float a[2] = {1.5f, -2.0f};
  const std::string b("\x01\0\x02\0\x03\0\xfc\xff", 8), flag("\x01\0", 2);
  const auto view = [](const auto& value) {
    return std::string_view(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  const std::vector<TensorView> tensors = {{"flag", DType::kBool, {2}, flag},
                                           {"b", DType::kI16, {2, 2}, b},
                                           {"scalar", DType::kI64, {}, view(scalar)},
                                           {"empty", DType::kF32, {0, 3}, ""},
                                           {"a", DType::kF32, {2}, view(a)}};
  const auto written = WriteSafetensors(env_, "/f", tensors, {{"format", "np"}});
  ASSERT_TRUE(written.ok()) << written.status();
  const std::string bytes = *env_.ReadFile("/f");
  EXPECT_EQ(written->bytes, bytes.size());
  EXPECT_EQ(written->xxh3, Xxh3(bytes));
  const std::string expected = FileOfReference();
  ASSERT_EQ(bytes.size(), expected.size());
  EXPECT_EQ(bytes.substr(0, 8), expected.substr(0, 8));
  EXPECT_EQ(bytes.substr(8 + 0x140), expected.substr(8 + 0x140));
  const auto header = Parse(bytes), reference = Parse(expected);
  ASSERT_TRUE(header.ok()) << header.status();
  for (const auto& [name, entry] : reference->tensors) {
    EXPECT_EQ(header->tensors.at(name).offset, entry.offset) << name;
    EXPECT_EQ(header->tensors.at(name).shape, entry.shape) << name;
  }
}

TEST_F(SafetensorsTest, DataStartsAtAMultipleOfEightAndThePaddingIsSpaces) {
  for (size_t length = 1; length <= 9; ++length) {
    const std::string name(length, 'n');
    ASSERT_TRUE(WriteSafetensors(env_, "/f", {{name, DType::kU8, {1}, "x"}}, {}).ok());
    const std::string bytes = *env_.ReadFile("/f");
    EXPECT_EQ((bytes.size() - 1) % 8, 0u);
    EXPECT_TRUE(Parse(bytes).ok());
    const size_t json_end = bytes.find_last_not_of(' ', bytes.size() - 2);
    EXPECT_EQ(bytes.substr(json_end - 1, 2), "}}");
  }
}

TEST_F(SafetensorsTest, EveryDTypeHasItsNameAndSize) {
  const std::vector<std::tuple<DType, std::string, uint64_t>> expected = {
      {DType::kF64, "F64", 8},   {DType::kF32, "F32", 4}, {DType::kF16, "F16", 2},
      {DType::kBF16, "BF16", 2}, {DType::kI64, "I64", 8}, {DType::kI32, "I32", 4},
      {DType::kI16, "I16", 2},   {DType::kI8, "I8", 1},   {DType::kU8, "U8", 1},
      {DType::kBool, "BOOL", 1}};
  for (const auto& [dtype, name, size] : expected) {
    EXPECT_EQ(NameOf(dtype), name);
    EXPECT_EQ(SizeOf(dtype), size);
    const auto header =
        Parse(FileOf(R"({"t":{"dtype":")" + name + R"(","shape":[3],"data_offsets":[0,)" +
                         std::to_string(3 * size) + "]}}",
                     std::string(3 * size, '\0')));
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->tensors.at("t").dtype, dtype);
  }
}

TEST_F(SafetensorsTest, TakesOffsetsInAnyOrderAndASpacePaddedHeader) {
  const auto file = Open(FileOf(
      R"({"late":{"data_offsets":[2,6],"dtype":"BF16","shape":[1,2]}, "none":{"dtype":"F32","shape":[0],"data_offsets":[2,2]}, "early":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}   )",
      "abcdef"));
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(*file->Read("early"), "ab");
  EXPECT_EQ(*file->Read("late"), "cdef");
  EXPECT_EQ(*file->Read("none"), "");
  EXPECT_EQ(*file->ReadPart("late", 1, 2), "de");
}

TEST_F(SafetensorsTest, AnEmptyFileOfTensorsIsAFile) {
  ASSERT_TRUE(WriteSafetensors(env_, "/f", {}, {}).ok());
  EXPECT_EQ(*env_.ReadFile("/f"), FileOf("{}      ", ""));
  EXPECT_TRUE(Parse(*env_.ReadFile("/f"))->tensors.empty());
}

TEST_F(SafetensorsTest, EveryTruncationIsRefused) {
  const std::string whole = FileOfReference();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(Parse(whole.substr(0, size)).status().code(), absl::StatusCode::kDataLoss) << size;
  }
}

TEST_F(SafetensorsTest, RefusesABadLength) {
  ExpectRefused("", "too short");
  ExpectRefused(FileOf("{}", "", 3), "claims 3 bytes, the file has 10");
  ExpectRefused(FileOf("{}", "", 100'000'001), "the limit is 100000000");
  ExpectRefused(FileOf("{}", "", ~uint64_t{0}), "the limit is 100000000");
  ExpectRefused(FileOf("", ""), "does not start with '{'");
  EXPECT_THAT(MessageOf(ParseSafetensorsHeader(FileOf("{}", ""), 1000).status()),
              HasSubstr("the file has 1000"));
}

TEST_F(SafetensorsTest, RefusesBadJson) {
  ExpectRefused(FileOf(" {}", ""), "does not start with '{'");
  ExpectRefused(FileOf("{", ""), "not JSON");
  ExpectRefused(FileOf("{}x", ""), "not JSON");
  ExpectRefused(FileOf(std::string("{}\0\0", 4), ""), "NUL byte at byte 2");
  ExpectRefused(FileOf("{\"\xff\":1}", ""), "not JSON");
  ExpectRefused(FileOf("{\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"}}", ""), "\"a\" appears twice");
  ExpectRefused(FileOf("{\"__metadata__\":{\"a\":1}}", ""), "an object of strings");
  ExpectRefused(FileOf("{\"a\":" + std::string(100'000, '['), ""), "nested deeper than 64");
  const std::string entry = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  ExpectRefused(FileOf("{\"t\":" + entry + ",\"t\":" + entry + "}", ""), "\"t\" appears twice");
}

TEST_F(SafetensorsTest, RefusesBadEntries) {
  ExpectRefused(FileWithEntry("[]", 0), "tensor \"t\": expected an object");
  ExpectRefused(FileWithEntry(R"({"shape":[1],"data_offsets":[0,4]})", 4), "\"dtype\" is missing");
  ExpectRefused(FileWithEntry(R"({"dtype":"F99","shape":[1],"data_offsets":[0,4]})", 4),
                "unknown dtype \"F99\"");
  ExpectRefused(FileWithEntry(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", 4),
                "\"shape\"");
  ExpectRefused(FileWithEntry(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})", 4),
                "\"shape\"");
  ExpectRefused(
      FileWithEntry(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})", 4),
      "\"shape\"");
  ExpectRefused(FileWithEntry(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})", 4),
                "\"data_offsets\"");
  ExpectRefused(FileWithEntry(R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})", 4),
                "\"data_offsets\"");
  ExpectRefused(FileWithEntry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", 4),
                "the shape needs 8 bytes, data_offsets give 4");
}

TEST_F(SafetensorsTest, RefusesShapesThatOverflow) {
  // 2^62 * 4 elements wrap to 0 in 64 bits; 2^62 elements are countable but their bytes are not.
  ExpectRefused(
      FileWithEntry(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})", 0),
      "number of elements overflows");
  ExpectRefused(
      FileWithEntry(R"({"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]})", 0),
      "number of bytes overflows");
}

TEST_F(SafetensorsTest, RefusesOffsetsThatDoNotTileTheData) {
  const auto two = [](const std::string& first, const std::string& second, size_t bytes) {
    return FileOf(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + first +
                      R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + second + "}}",
                  std::string(bytes, 'x'));
  };
  EXPECT_TRUE(Parse(two("[2,4]", "[0,2]", 4)).ok());
  ExpectRefused(two("[0,2]", "[3,5]", 5), "leaving a hole");
  ExpectRefused(two("[1,3]", "[3,5]", 5), "leaving a hole");
  ExpectRefused(two("[0,2]", "[1,3]", 3), "overlapping");
  ExpectRefused(two("[0,2]", "[0,2]", 2), "overlapping");
  ExpectRefused(two("[0,2]", "[2,4]", 5), "the tensors end at byte");
  ExpectRefused(two("[0,2]", "[2,4]", 3), "do not lie within the 3 bytes");
  ExpectRefused(two("[0,2]", "[4,2]", 4), "do not lie within");
}

TEST_F(SafetensorsTest, ReadErrorsNameTheTensorAndTheFile) {
  const auto file = Open(FileOfReference());
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->Read("c").status(), NotFound("/f: no tensor \"c\""));
  EXPECT_TRUE(file->ReadPart("a", 8, 0).ok());
  for (const auto& [offset, bytes] : {std::pair<uint64_t, uint64_t>{0, 9}, {9, 0}, {4, ~0ull}}) {
    const auto part = file->ReadPart("a", offset, bytes);
    EXPECT_EQ(part.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(MessageOf(part.status()), HasSubstr("outside tensor \"a\" of 8 bytes"));
  }
  EXPECT_EQ(SafetensorsFile::Open(env_, "/none").status().code(), absl::StatusCode::kNotFound);
  env_.Contents("/f") += "x";
  EXPECT_THAT(MessageOf(SafetensorsFile::Open(env_, "/f").status()), HasSubstr("/f: "));
}

TEST_F(SafetensorsTest, AFullDiskLeavesNoHalfFile) {
  env_.LimitBytes(100);
  const std::string bytes(400, 'x');
  const auto written = WriteSafetensors(env_, "/f", {{"t", DType::kU8, {400}, bytes}}, {});
  EXPECT_EQ(written.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(MessageOf(written.status()), HasSubstr("/f"));
  EXPECT_FALSE(env_.Exists("/f"));
}

TEST_F(SafetensorsTest, ANameThatIsNotUtf8IsRefusedBeforeAnythingIsWritten) {
  const auto written = WriteSafetensors(env_, "/f", {{"\xff", DType::kU8, {0}, ""}}, {});
  EXPECT_EQ(written.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(env_.Exists("/f"));
}

TEST(Xxh3Hasher, PiecesGiveTheDigestOfTheWhole) {
  const std::string bytes(5000, 'b');
  Xxh3Hasher hasher;
  EXPECT_EQ(hasher.Digest(), Xxh3(""));
  hasher.Update(std::string_view(bytes).substr(0, 1));
  hasher.Update("");
  hasher.Update(std::string_view(bytes).substr(1, 3000));
  EXPECT_EQ(hasher.Digest(), Xxh3(std::string_view(bytes).substr(0, 3001)));
  hasher.Update(std::string_view(bytes).substr(3001));
  EXPECT_EQ(hasher.Digest(), Xxh3(bytes));
}

}  // namespace
}  // namespace halcyon::storage
