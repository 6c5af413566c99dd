#include "storage/weights/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/storage/power_cut_env.h"
#include "tests/testing/torch_writer.h"

namespace halcyon::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::PickleStateDict;
using testing::PickleText;
using testing::SavedTensor;
using testing::WriteTorchFile;
using testing::WriteZip;

template <typename Number>
std::vector<Number> NumbersOf(const std::string& bytes) {
  std::vector<Number> numbers(bytes.size() / sizeof(Number));
  if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

std::string Bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

class TorchFileTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<TorchFile>> Open(const std::string& bytes) {
    env_.NewWritableFile("/f").value()->Append(bytes).IgnoreError();
    return TorchFile::Open(env_, "/f");
  }

  void ExpectRefused(const std::string& bytes, absl::StatusCode code, const std::string& reason) {
    const auto file = Open(bytes);
    ASSERT_FALSE(file.ok()) << "accepted, expected: " << reason;
    EXPECT_EQ(file.status().code(), code) << file.status();
    EXPECT_THAT(MessageOf(file.status()), HasSubstr(reason));
    EXPECT_THAT(MessageOf(file.status()), HasSubstr("/f: "));
  }

  void ExpectStreamRefused(const std::string& stream, absl::StatusCode code,
                           const std::string& reason) {
    ExpectRefused(WriteZip({{"m/data.pkl", stream}}), code, reason);
  }

  testing::PowerCutEnv env_;
};

constexpr auto kDamaged = absl::StatusCode::kDataLoss;
constexpr auto kRefused = absl::StatusCode::kInvalidArgument;

// Written by torch.save of torch 2.11.0 (Python 3.11) for an OrderedDict with `_metadata`, where
// base = arange(12): "a.weight" = base as [3, 4], "alias" the same tensor, "t" its transpose,
// "slice" = base[5:9]; one tensor of each other type, a scalar, an empty one and a Parameter.
TEST_F(TorchFileTest, ReadsWhatPythonWrote) {
  const auto bytes = Env::Posix()->ReadFile(
      JoinPath(HALCYON_SOURCE_DIR, "tests/storage/weights/torch_state_dict.bin"));
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto opened = Open(*bytes);
  ASSERT_TRUE(opened.ok()) << opened.status();
  const TorchFile& file = **opened;
  EXPECT_EQ(file.tensors().size(), 11u);
  const auto floats = [&](const char* name) { return NumbersOf<float>(*file.Read(name)); };
  const std::vector<float> base = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  EXPECT_EQ(floats("a.weight"), base);
  EXPECT_EQ(floats("alias"), base);
  EXPECT_THAT(file.tensors().at("t").shape, ElementsAre(4, 3));
  EXPECT_THAT(floats("t"), ElementsAre(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11));
  EXPECT_THAT(floats("slice"), ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(floats("scalar"), ElementsAre(2.5f));
  EXPECT_THAT(floats("param"), ElementsAre(4.0f));
  EXPECT_TRUE(file.tensors().at("scalar").shape.empty());
  EXPECT_EQ(*file.Read("empty"), "");
  EXPECT_THAT(NumbersOf<double>(*file.Read("dbl")), ElementsAre(0.1));
  EXPECT_THAT(NumbersOf<int64_t>(*file.Read("ints")), ElementsAre(7, -1));
  EXPECT_EQ(file.tensors().at("half").dtype, DType::kF16);
  EXPECT_THAT(NumbersOf<uint16_t>(*file.Read("half")), ElementsAre(0x3e00, 0xc000));
  EXPECT_EQ(file.tensors().at("bf").dtype, DType::kBF16);
  EXPECT_THAT(NumbersOf<uint16_t>(*file.Read("bf")), ElementsAre(0x3fc0, 0xc000, 0x4040));
  EXPECT_EQ(file.Read("none").status(), NotFound("/f: no tensor \"none\""));
}

TEST_F(TorchFileTest, EveryTruncationIsRefused) {
  const std::string whole = WriteTorchFile({{"a", "FloatStorage", {2}, Bytes({1, 2})}});
  ASSERT_TRUE(Open(whole).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(Open(whole.substr(0, size)).status().code(), kDamaged) << size;
  }
  const std::string stream = PickleStateDict({});
  for (size_t size = 0; size < stream.size(); ++size) {
    EXPECT_EQ(ParseTorchPickle(stream.substr(0, size)).status().code(), kDamaged) << size;
  }
}

TEST_F(TorchFileTest, OtherFormatsAreNamed) {
  ExpectRefused(std::string("\x80\x02\x8a\x0al\xfc\x9c", 7), kRefused, "before torch 1.6");
  ExpectRefused("no archive at all, but long enough to be one", kDamaged, "not a zip archive");
  ExpectRefused(WriteZip({{"m/other", ""}}), kRefused, "has no data.pkl");
  ExpectRefused(WriteZip({{"m/data.pkl", ""}}, /*method=*/8), kDamaged, "is compressed");
  ExpectRefused(WriteZip({{"m/data.pkl", ""}, {"m/data.pkl", ""}}), kDamaged, "is there twice");
  ExpectRefused(WriteZip({{"m/byteorder", "big"}, {"m/data.pkl", PickleStateDict({})}}), kRefused,
                "not little-endian");
}

TEST_F(TorchFileTest, NothingIsExecutedAndNothingElseIsRead) {
  ExpectStreamRefused(
      "\x80\x02"
      "cos\nsystem\n" +
          PickleText("echo") + "\x85R.",
      kRefused, "\"os.system\"");
  ExpectStreamRefused("\x80\x04" + PickleText("builtins") + PickleText("eval") + "\x93.", kRefused,
                      "\"builtins.eval\"");
  ExpectStreamRefused("ctorch._utils\n_rebuild_parameter\n}b.", kRefused, "with a state");
  ExpectStreamRefused("\x80\x02i", kRefused, "opcode 105");
  ExpectStreamRefused("\x80\x02].", kRefused, "something else than a dict");
  ExpectStreamRefused("}(" + PickleText("epoch") + "K\x03u.", kRefused, "\"epoch\", which is no");
  ExpectStreamRefused("}(K\x01K\x02u.", kRefused, "a name that is no text");
  ExpectStreamRefused("\x8a\x09", kRefused, "more than 64 bits");
}

TEST_F(TorchFileTest, DamagedStreamsAreRefused) {
  for (const std::string stream : {"R.",   "b.",    "u.",     "t.",       "\x85.",
                                   "s.",   "}(N.",  "h\x01.", "q\x01",    "\x94",
                                   "(q",   "NN.",   "}.}",    "}(Nu.",    "NNR.",
                                   "NQ.",  "NNNs.", "]Ns.",   "\x80\x09", "X\xff\xff\xff\xff",
                                   "\x93", "NN\x93"}) {
    EXPECT_EQ(ParseTorchPickle(stream).status().code(), kDamaged) << stream;
  }
  // Depth costs nothing: there is no recursion.
  EXPECT_FALSE(ParseTorchPickle(std::string(1'000'000, '(') + ".").ok());
  std::string nested = "N";
  for (int i = 0; i < 100'000; ++i) nested += "\x85";
  EXPECT_EQ(ParseTorchPickle(nested + ".").status().code(), kRefused);
  EXPECT_THAT(MessageOf(ParseTorchPickle(std::string(5'000'000, 'N')).status()),
              HasSubstr("too many values"));
}

TEST_F(TorchFileTest, TensorsLieWithinTheirStorage) {
  const auto refused = [&](SavedTensor tensor, const std::string& reason) {
    tensor.name = "a";
    tensor.bytes = Bytes({1, 2, 3, 4});
    ExpectRefused(WriteTorchFile({tensor}), kDamaged, reason);
  };
  refused({.shape = {5}}, "only 16 bytes are there");
  refused({.shape = {5}, .storage_elements = 4}, "reaches element 4 of a storage of 4");
  refused({.shape = {4}, .offset = 1, .storage_elements = 4}, "reaches element 4");
  refused({.shape = {2, 2}, .strides = {3, 1}, .storage_elements = 4}, "reaches element 4");
  refused({.shape = {4}, .strides = {-1}}, "negative or overflow");
  refused({.shape = {-4}, .storage_elements = 4}, "negative extent");
  refused({.shape = {1'000'000'000}, .strides = {0}, .storage_elements = 4},
          "of 1000000000 elements");
  refused({.shape = {5}, .strides = {int64_t{1} << 62}}, "overflow");
  refused({.shape = {int64_t{1} << 40, int64_t{1} << 40}, .storage_elements = 4}, "overflows");
  refused({.shape = {2}, .offset = -1}, "another form");
  refused({.shape = {2}, .storage_elements = int64_t{1} << 62}, "only 16 bytes");
  refused({.shape = std::vector<int64_t>(65, 1)}, "too long");
  ExpectRefused(WriteTorchFile({{"a", "FloatStorage", {1}, "", {}, 0, "gone"}}), kDamaged,
                "the bytes of tensor \"a\" are missing");
  ExpectRefused(WriteTorchFile({{"a", "FloatStorage", {1}, Bytes({1})},
                                {"a", "FloatStorage", {1}, Bytes({1}), {}, 0, "a"}}),
                kDamaged, "\"a\" is there twice");
  ExpectRefused(WriteTorchFile({{"a", "QInt8Storage", {1}, Bytes({1})}}), kRefused,
                "\"torch.QInt8Storage\"");
}

TEST_F(TorchFileTest, StridesAreFollowed) {
  const auto file = Open(
      WriteTorchFile({{"a", "FloatStorage", {2, 3}, Bytes({0, 1, 2, 3, 4, 5, 6}), {1, 2}, 1, "", 7},
                      {"one", "FloatStorage", {1, 2}, "", {99, 1}, 2, "a", 7}}));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(NumbersOf<float>(*(*file)->Read("a")), ElementsAre(1, 3, 5, 2, 4, 6));
  EXPECT_THAT(NumbersOf<float>(*(*file)->Read("one")), ElementsAre(2, 3));
}

}  // namespace
}  // namespace halcyon::storage
