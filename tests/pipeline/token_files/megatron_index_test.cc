#include "pipeline/token_files/megatron_index.h"

#include "tests/pipeline/token_files/token_fixture.h"

namespace halcyon::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MegatronIndexTest : public TokenFileTest {
 protected:
  static absl::StatusOr<MegatronIndex> Parse(const std::string& bytes) {
    return MegatronIndex::Parse("i", bytes.size(), [bytes](uint64_t offset, uint64_t size) {
      return offset <= bytes.size() && size <= bytes.size() - offset
                 ? absl::StatusOr<std::string>(bytes.substr(offset, size))
                 : DataLoss("past the end");
    });
  }
  static std::string Error(const std::string& bytes) {
    auto index = Parse(bytes);
    const absl::Status status = index.ok() ? index->Check() : index.status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return MessageOf(status);
  }
  // The file with an integer in place of another.
  static std::string With(std::string bytes, size_t at, int64_t value, uint32_t size) {
    return bytes.replace(at, size, Integers({value}, size));
  }
};

TEST_F(MegatronIndexTest, SaysWhereDocumentsBegin) {
  auto index = Parse(MegatronIndexOf(4, 4, {{3, 1}, {}, {5}}));
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_TRUE(index->Check().ok()) << index->Check();
  EXPECT_EQ(index->documents(), 3u);
  EXPECT_EQ(index->type(), (IdType{4, true}));
  std::vector<uint64_t> starts;
  for (uint64_t i = 0; i <= 3; ++i) starts.push_back(*index->Start(i));
  EXPECT_THAT(starts, ElementsAre(0, 16, 16, 36));
  EXPECT_EQ(*index->Bytes(), 36u);
  EXPECT_EQ(*index->FirstFrom(0), 0u);
  EXPECT_EQ(*index->FirstFrom(1), 1u);
  EXPECT_EQ(*index->FirstFrom(16), 1u);
  EXPECT_EQ(*index->FirstFrom(17), 3u);
}

// Larger than what is read at a time.
TEST_F(MegatronIndexTest, OfManySequences) {
  std::vector<std::vector<int64_t>> documents;
  for (int64_t i = 0; i < 20000; ++i) documents.push_back({i % 7, 1});
  auto index = Parse(MegatronIndexOf(8, 2, documents));
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_TRUE(index->Check().ok());
  std::vector<uint64_t> starts = {0};
  for (uint64_t i = 0; i < documents.size(); ++i) {
    ASSERT_EQ(*index->Start(i), starts[i]);
    starts.push_back(starts[i] + 2 * static_cast<uint64_t>(documents[i][0] + 1));
  }
  EXPECT_EQ(*index->Bytes(), starts.back());
  for (uint64_t i = 0; i < documents.size(); i += 997) EXPECT_EQ(*index->FirstFrom(starts[i]), i);
}

TEST_F(MegatronIndexTest, MultimodalDataHaveOneColumnMore) {
  EXPECT_TRUE(Parse(MegatronIndexOf(8, 2, {{2}, {1}}) + std::string(2, '\1')).ok());
}

TEST_F(MegatronIndexTest, RefusesWhatItCannotRead) {
  const std::string good = MegatronIndexOf(8, 2, {{3, 1}, {5}});
  constexpr size_t kVersion = 9, kType = 17, kLengths = 34, kPointers = kLengths + 3 * 4,
                   kDocuments = kPointers + 3 * 8;
  EXPECT_THAT(Error("TNTIDX\0\0 more"), HasSubstr("i: an index of the older form TNTIDX"));
  EXPECT_THAT(Error("ids"), HasSubstr("i: not an index of Megatron-LM (MMIDIDX)"));
  EXPECT_THAT(Error(good.substr(0, 33)), HasSubstr("not an index"));
  EXPECT_THAT(Error(With(good, kVersion, 2, 8)), HasSubstr("i: an index of version 2"));
  EXPECT_THAT(Error(With(good, kType, 7, 1)), HasSubstr("ids of type 7; integers"));
  EXPECT_THAT(Error(good.substr(0, good.size() - 1)), HasSubstr("do not fit 3 sequences"));
  EXPECT_THAT(Error(With(good, 18, -1, 8)), HasSubstr("do not fit 18446744073709551615"));
  EXPECT_THAT(Error(With(good, kLengths + 4, -1, 4)), HasSubstr("sequence 1 has -1 ids"));
  EXPECT_THAT(Error(With(good, kPointers + 8, 8, 8)),
              HasSubstr("sequence 1 begins at byte 8, the one before it ends at 6"));
  EXPECT_THAT(Error(With(good, kDocuments, 1, 8)), HasSubstr("document 0 begins at sequence 1"));
  EXPECT_THAT(Error(With(good, kDocuments + 8, 4, 8)),
              HasSubstr("document 1 begins at sequence 4 of 3"));
  EXPECT_THAT(Error(With(good, kDocuments + 16, 2, 8)),
              HasSubstr("its documents end at sequence 2 of 3: the program that wrote it has to"));
}

}  // namespace
}  // namespace halcyon::pipeline
