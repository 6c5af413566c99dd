#include "pipeline/sources/source_text.h"

#include <zlib.h>
#include <zstd.h>

#include "base/philox.h"
#include "tests/pipeline/source_fixture.h"

namespace halcyon::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Gzip(const std::string& text) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string Zstd(const std::string& text) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress2(context, packed.data(), packed.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return packed;
}

// Lines of words that do not pack to nothing.
std::string Lines(uint64_t lines) {
  const PhiloxStream stream(7, NoiseStream::kEvaluation, 0, 0);
  std::string text;
  for (uint64_t i = 0; i < lines; ++i) {
    text += std::to_string(i) + " " + std::to_string(stream.Below(i, 1'000'000'000)) + "\n";
  }
  return text;
}

struct Form {
  const char* name;
  std::string (*pack)(const std::string&);
};

class PackedTextTest : public SourceTest, public ::testing::WithParamInterface<Form> {
 protected:
  std::string Pack(const std::string& text) { return GetParam().pack(text); }
  std::string Path() { return dir_.Path("text"); }
  absl::StatusOr<std::string> ReadAll(uint64_t bytes) {
    ASSIGN_OR_RETURN(const auto source, SourceText::Open(*Env::Posix(), Path()));
    std::string text;
    while (!source->at_end()) {
      const size_t before = text.size();
      RETURN_IF_ERROR(source->Read(bytes, &text));
      EXPECT_TRUE(text.size() == before + bytes || source->at_end());
    }
    return text;
  }
};

TEST_P(PackedTextTest, IsTheTextThatWasPacked) {
  const std::string text = Lines(200'000);
  for (const std::string& one : {text, std::string("short"), std::string()}) {
    Replace("text", Pack(one));
    for (const uint64_t bytes : {uint64_t{1} << 30, uint64_t{1'000'003}}) {
      const auto read = ReadAll(bytes);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_TRUE(*read == one);
    }
  }
}

TEST_P(PackedTextTest, IsReadWholeOrInPart) {
  const std::string text = Lines(5000);
  Replace("text", Pack(text));
  EXPECT_EQ(*WholeText(*Env::Posix(), Path()), text);
  EXPECT_EQ(*BeginningOf(*Env::Posix(), Path(), 10), text.substr(0, 10));
  Replace("text", Pack(text).substr(0, 1000));
  EXPECT_THAT(MessageOf(WholeText(*Env::Posix(), Path()).status()), HasSubstr(Path()));
}

TEST_P(PackedTextTest, SeveralOneAfterAnotherAreOneText) {
  Replace("text", Pack("one\n") + Pack("") + Pack("two\n"));
  EXPECT_EQ(*ReadAll(3), "one\ntwo\n");
}

TEST_P(PackedTextTest, GoesOnAfterWhatIsSkipped) {
  const std::string text = Lines(200'000);
  Replace("text", Pack(text));
  for (const uint64_t skipped : {uint64_t{0}, uint64_t{5}, uint64_t{2'500'000}, text.size()}) {
    const auto source = SourceText::Open(*Env::Posix(), Path());
    ASSERT_TRUE((*source)->Skip(skipped).ok());
    std::string read;
    ASSERT_TRUE((*source)->Read(1000, &read).ok());
    EXPECT_EQ(read, text.substr(skipped, 1000));
  }
}

TEST_P(PackedTextTest, AFileThatIsCutShortIsDamaged) {
  const std::string packed = Pack(Lines(50));
  // The magic numbers say what it is.
  for (size_t bytes = 4; bytes < packed.size(); ++bytes) {
    Replace("text", packed.substr(0, bytes));
    const auto read = ReadAll(100);
    EXPECT_TRUE(absl::IsDataLoss(read.status())) << bytes << " of " << packed.size();
  }
  Replace("text", packed + "what is this");
  EXPECT_TRUE(absl::IsDataLoss(ReadAll(100).status()));
}

TEST_P(PackedTextTest, AFlippedBitIsFoundOrChangesNothing) {
  const std::string text = Lines(50), packed = Pack(text);
  for (size_t byte = 4; byte < packed.size(); ++byte) {
    std::string damaged = packed;
    damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << (byte % 8)));
    Replace("text", damaged);
    const auto read = ReadAll(100);
    EXPECT_TRUE(absl::IsDataLoss(read.status()) || *read == text) << byte;
  }
}

TEST_P(PackedTextTest, HasTheDocumentsOfThePlainFile) {
  data_.documents = jobs::DocumentRule::kLines;
  data_.shard_bytes = 1000;
  const std::string text = "\xEF\xBB\xBF" + Lines(20'000);
  Write("text", Pack(text));
  const auto plan = Plan();
  const auto packed = Documents();
  data_.sources.clear();
  Write("plain", text);
  EXPECT_EQ(packed, Documents());
  EXPECT_LT(plan.size(), 100u) << "shards grow, so that little is unpacked again";
  EXPECT_GT(plan.size(), 10u);
  for (const SourceRange& range : plan) EXPECT_LE(range.end - range.begin, text.size() / 8);
}

TEST_P(PackedTextTest, DigestsAreThoseOfTheFile) {
  const std::string packed = Pack(Lines(1000));
  Write("text", packed);
  EXPECT_THAT(PlanShards(data_)->source_digests, ElementsAre(Sha256::Of(packed)));
}

TEST_P(PackedTextTest, ErrorsNameTheFileAndWhatIsInIt) {
  data_.documents = jobs::DocumentRule::kLines;
  const std::string packed = Pack(Lines(1000));
  Write("text", packed.substr(0, packed.size() / 2));
  const absl::Status cut = PlanShards(data_).status();
  EXPECT_TRUE(absl::IsInvalidArgument(cut));
  EXPECT_THAT(MessageOf(cut), HasSubstr(Path() + ": "));
  EXPECT_THAT(MessageOf(cut), HasSubstr("get or pack the file again"));
  Replace("text", Pack("%PDF-1.4"));
  EXPECT_THAT(MessageOf(PlanShards(data_).status()), HasSubstr("holds a PDF document"));
  Replace("text", packed);
  const auto plan = Plan();
  Replace("text", Pack(Lines(999)));
  EXPECT_TRUE(absl::IsFailedPrecondition(Read(plan).status())) << "it changed after the plan";
  Replace("text", packed.substr(0, packed.size() / 2));
  EXPECT_TRUE(absl::IsFailedPrecondition(Read(plan).status()));
}

TEST_P(PackedTextTest, LinesAreCountedInTheText) {
  data_.format = jobs::DataFormat::kJsonl;
  Write("text", Pack("{\"text\": \"a\"}\n{\"text\": 1}\n"));
  EXPECT_THAT(MessageOf(Error()), HasSubstr(Path() + ":2: "));
}

INSTANTIATE_TEST_SUITE_P(Forms, PackedTextTest,
                         ::testing::Values(Form{"Gzip", Gzip}, Form{"Zstd", Zstd}),
                         [](const auto& info) { return info.param.name; });

TEST_F(SourceTest, ZerosMayFollowGzipData) {
  data_.documents = jobs::DocumentRule::kLines;
  Write("text", Gzip("one\n") + std::string(700, '\0'));
  EXPECT_THAT(Documents(), ElementsAre("one"));
}

}  // namespace
}  // namespace halcyon::pipeline
