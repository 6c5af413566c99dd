// Files of ids cut into shards, and the documents of these.
#include "pipeline/token_files/token_documents.h"

#include <algorithm>

#include "base/digest.h"
#include "base/philox.h"
#include "tests/pipeline/token_files/token_fixture.h"

namespace halcyon::pipeline {
namespace {

using jobs::TokenType;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kEnd = 7;

class TokenDocumentsTest : public TokenFileTest {
 protected:
  // About one in `rarity` is kEnd, which also comes twice in a row, first and last.
  static Ids RandomIds(uint64_t count, uint64_t rarity) {
    const PhiloxStream stream(3, NoiseStream::kEvaluation, 0, rarity);
    Ids ids(count);
    for (uint64_t i = 0; i < count; ++i) {
      const auto id = static_cast<int64_t>(stream.Below(i, 200));
      ids[i] = stream.Below(count + i, rarity) == 0 ? kEnd : id == kEnd ? 8 : id;
    }
    return ids;
  }
  static std::vector<Ids> DocumentsOf(const Ids& ids) {
    std::vector<Ids> documents(1);
    for (const int64_t id : ids) {
      if (id == kEnd) {
        documents.emplace_back();
      } else {
        documents.back().push_back(id);
      }
    }
    std::erase_if(documents, [](const Ids& one) { return one.empty(); });
    return documents;
  }
  void ExpectChanged(const std::vector<SourceRange>& plan, const std::string& how) {
    const absl::Status status = ReadIds(plan).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(MessageOf(status),
                AllOf(HasSubstr("the file changed while the job ran"), HasSubstr(how)));
  }
};

TEST_F(TokenDocumentsTest, AreTheSameOfEveryFormAndEveryCut) {
  data_.end_of_document = kEnd;
  const Ids ids = RandomIds(100, 6);
  const std::pair<std::string, TokenType> files[] = {
      {NpyOf("<u2", ids), TokenType::kAuto},
      {NpyOf("<i8", ids), TokenType::kAuto},
      {NpyOf("<i4", ids), TokenType::kAuto},
      {LlmcOf(20240520, 1, ids, 2), TokenType::kAuto},
      {LlmcOf(20240801, 7, ids, 4), TokenType::kAuto},
      {Integers(ids, 2), TokenType::kUint16},
      {Integers(ids, 4), TokenType::kUint32},
  };
  const std::vector<Ids> expected = DocumentsOf(ids);
  for (const auto& [bytes, type] : files) {
    data_.sources.clear();
    data_.token_type = type;
    Write("a.bin", bytes);
    for (data_.shard_bytes = 1; data_.shard_bytes < 1500; data_.shard_bytes += 13) {
      const auto plan = Plan();
      ASSERT_FALSE(plan.empty());
      EXPECT_EQ(plan.front().begin, 0u);
      EXPECT_EQ(plan.back().end, bytes.size());
      for (size_t i = 1; i < plan.size(); ++i) ASSERT_EQ(plan[i].begin, plan[i - 1].end);
      const auto documents = ReadIds(plan);
      ASSERT_TRUE(documents.ok()) << documents.status();
      ASSERT_EQ(*documents, expected) << data_.shard_bytes;
    }
  }
}

// Over the borders of what is read at a time.
TEST_F(TokenDocumentsTest, OfALargeFile) {
  data_.end_of_document = kEnd;
  data_.shard_bytes = 300'000;
  const Ids ids = RandomIds(1'000'000, 5000);
  const std::string bytes = NpyOf("<i4", ids);
  Write("a.npy", bytes);
  const auto plan = PlanShards(data_);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->source_digests, ElementsAre(Sha256::Of(bytes)));
  EXPECT_GE(plan->shards.size(), 10u);
  for (const SourceRange& range : RangesOf(*plan)) {
    if (range.end < bytes.size()) {
      EXPECT_GE(range.end - range.begin, 300'000u);
    }
  }
  EXPECT_EQ(*ReadIds(RangesOf(*plan)), DocumentsOf(ids));
}

TEST_F(TokenDocumentsTest, WithoutAnEndAFileIsOneDocument) {
  data_.shard_bytes = 1;
  Write("a.npy", NpyOf("<u2", {1, kEnd, 2}));
  Write("none.npy", NpyOf("<u2", {}));
  Write("b.npy", NpyOf("<u4", {3}));
  EXPECT_EQ(Plan().size(), 2u);
  EXPECT_THAT(IdsOfDocuments(), ElementsAre(Ids{1, kEnd, 2}, Ids{3}));
  EXPECT_EQ(warnings_, "");
}

TEST_F(TokenDocumentsTest, AreTheOnesOfTheIndexAndOfTheEndWithinThem) {
  const Ids ids = RandomIds(400, 9);
  WriteIndexed("a", Integers(ids, 2),
               MegatronIndexOf(8, 2, {{10, 20}, {}, {1}, {300, 0}, {}, {69}, {}}));
  const auto part = [&](int from, int to) { return Ids(ids.begin() + from, ids.begin() + to); };
  const std::vector<Ids> parts = {part(0, 30), part(30, 31), part(31, 331), part(331, 400)};
  std::vector<Ids> cut;
  for (const Ids& one : parts) {
    for (const Ids& document : DocumentsOf(one)) cut.push_back(document);
  }
  for (data_.shard_bytes = 1; data_.shard_bytes < 900; data_.shard_bytes += 7) {
    data_.end_of_document = -1;
    ASSERT_EQ(IdsOfDocuments(), parts);
    data_.end_of_document = kEnd;
    ASSERT_EQ(IdsOfDocuments(), cut);
  }
  data_.shard_bytes = 1;
  EXPECT_EQ(Plan().size(), 4u);
  EXPECT_EQ(PlanShards(data_)->files, FileShards({0, std::nullopt}, 4));
}

TEST_F(TokenDocumentsTest, AnIdOutsideTheVocabularyIsNamedWithItsPlace) {
  data_.end_of_document = kEnd;
  data_.shard_bytes = 1;
  Write("a.npy", NpyOf("<i4", {1, kEnd, 2, 1000, 3}));
  EXPECT_THAT(ReadError(), HasSubstr("a.npy: token 3 (byte 140) is id 1000, which no token of the "
                                     "vocabulary has (0 to 999): name the tokenizer"));
  Replace("a.npy", NpyOf("<i4", {1, kEnd, 2, 3, -1}));
  EXPECT_THAT(ReadError(), HasSubstr("token 4 (byte 144) is id -1,"));
  data_.end_of_document = -1;
  EXPECT_THAT(ReadError(), HasSubstr("token 4 (byte 144) is id -1,"));
  data_.end_of_document = kEnd;
  Replace("a.npy", NpyOf("<u8", {int64_t{1} << 32}));
  EXPECT_THAT(ReadError(), HasSubstr("token 0 (byte 128) is id 4294967296,"));
  // Within the vocabulary, whose file leaves it out.
  known_[5] = false;
  Replace("a.npy", NpyOf("<u2", {4, 5}));
  EXPECT_THAT(ReadError(), HasSubstr("token 1 (byte 130) is id 5,"));
}

TEST_F(TokenDocumentsTest, TheEndNeedNotBeOfTheVocabulary) {
  data_.end_of_document = 65535;
  data_.token_type = TokenType::kUint16;
  Write("a.bin", Integers({1, 65535, 2}, 2));
  EXPECT_THAT(IdsOfDocuments(), ElementsAre(Ids{1}, Ids{2}));
  // No such id fits into the file.
  data_.end_of_document = 1 << 20;
  Replace("a.bin", Integers({1, 0, 2}, 2));
  EXPECT_THAT(IdsOfDocuments(), ElementsAre(Ids{1, 0, 2}));
}

TEST_F(TokenDocumentsTest, AFileThatChangesIsNoticed) {
  data_.end_of_document = kEnd;
  data_.shard_bytes = 1;
  Write("a.npy", NpyOf("<u4", {1, kEnd, 2}));
  const auto plan = Plan();
  ASSERT_EQ(plan.size(), 2u);
  Replace("a.npy", NpyOf("<u4", {1, kEnd, 3}));
  ExpectChanged(plan, "bytes 136 to 140 or what parts them differ");
  EXPECT_TRUE(ReadIds({plan[0]}).ok());
  // The header, which is not in the second shard.
  Replace("a.npy", NpyOf("<i4", {1, kEnd, 2}));
  ExpectChanged({plan[1]}, "bytes 136 to 140");
  Replace("a.npy", NpyOf("<u4", {1, kEnd}));
  ExpectChanged({plan[1]}, "it is shorter");
  Replace("a.npy", "other");
  ExpectChanged({plan[1]}, "no header says");
  ASSERT_TRUE(Env::Posix()->RemoveFile(dir_.Path("a.npy")).ok());
  ExpectChanged(plan, "it is gone");
}

TEST_F(TokenDocumentsTest, AnIndexThatChangesIsNoticed) {
  data_.shard_bytes = 1;
  const std::string index = MegatronIndexOf(8, 2, {{2}, {1, 1}, {1}});
  WriteIndexed("a", Integers({1, 2, 3, 4, 5}, 2), index);
  const auto plan = Plan();
  ASSERT_EQ(plan.size(), 3u);
  Replace("a.idx", MegatronIndexOf(8, 2, {{2}, {1}, {1}, {1}}));
  ExpectChanged({plan[1]}, "bytes 4 to 8 or what parts them differ");
  EXPECT_TRUE(ReadIds({plan[0], plan[2]}).ok()) << "they are parted as before";
  Replace("a.idx", MegatronIndexOf(8, 2, {{2}, {3}}));
  ExpectChanged({plan[1]}, "a.idx: it is another one");
  Replace("a.idx", index.substr(0, 50));
  ExpectChanged({plan[0]}, "do not fit");
}

TEST_F(TokenDocumentsTest, WhatLooksWrongGivesAWarning) {
  data_.token_type = TokenType::kUint16;
  data_.end_of_document = kEnd;
  Write("a.bin", Integers({5, 6, 8}, 4));
  EXPECT_EQ(IdsOfDocuments().size(), 1u);
  EXPECT_THAT(warnings_, HasSubstr("a.bin: 3 of 6 ids are 0; are they stored as uint32?"));
  Replace("a.bin", Integers({5, 6, 8}, 2));
  EXPECT_EQ(IdsOfDocuments().size(), 1u);
  EXPECT_THAT(warnings_, HasSubstr("a.bin: id 7 ([data] end_of_document) is nowhere in it"));
  Replace("a.bin", Integers({5, 6, kEnd}, 2));
  EXPECT_EQ(IdsOfDocuments().size(), 1u);
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(TokenDocumentsTest, FilesWithoutAnyIdAreNoSource) {
  Write("a.npy", NpyOf("<u2", {}));
  EXPECT_THAT(PlanError(), HasSubstr("no document in 1 source file(s)"));
}

}  // namespace
}  // namespace halcyon::pipeline
