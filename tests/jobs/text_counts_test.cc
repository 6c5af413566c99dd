#include "jobs/text_counts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace halcyon::jobs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TextCountsTest : public ::testing::Test {
 protected:
  TextCountsTest() {
    spec_.autoencoder.chunk_size = 4;
    spec_.model.window_chunks = 10;
  }
  std::string Error() {
    const absl::Status status = CheckText(spec_, counts_);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return MessageOf(status);
  }

  JobSpec spec_;
  TextCounts counts_{.train_documents = 98,
                     .heldout_documents = 2,
                     .train_chunks = 100,
                     .autoencoder_chunks = 100,
                     .model_chunks = 100,
                     .heldout_chunks = 2};
};

TEST_F(TextCountsTest, EnoughTextIsFine) {
  EXPECT_TRUE(CheckText(spec_, counts_).ok());
  EXPECT_EQ(WhyNoScore(spec_, counts_), "");
}

TEST_F(TextCountsTest, LessThanATrainingWindowIsRefused) {
  counts_.model_chunks = 10;
  EXPECT_TRUE(CheckText(spec_, counts_).ok());
  counts_.model_chunks = 9;
  EXPECT_THAT(Error(), HasSubstr("has 9 chunks of 4 tokens, less than one window of 10; write "
                                 "model.window_chunks = 9 or less"));
  counts_.model_chunks = 1;
  EXPECT_THAT(Error(), HasSubstr("lower autoencoder.chunk_size or give more text"));
  spec_.model.skip_autoencoder_data = true;
  EXPECT_THAT(Error(), HasSubstr("the training text that the autoencoder leaves has 1 chunks"));
  counts_.model_chunks = 0;
  EXPECT_THAT(Error(), HasSubstr("lower autoencoder.data_fraction or data.shard_bytes"));
}

TEST_F(TextCountsTest, OneDocumentIsToBeCutRatherThanMoreHeldOut) {
  counts_.train_documents = 1;
  counts_.heldout_documents = counts_.heldout_chunks = 0;
  EXPECT_TRUE(CheckText(spec_, counts_).ok()) << "it is trained on, without a score";
  EXPECT_THAT(WhyNoScore(spec_, counts_),
              HasSubstr("of its one document is none; each file is one document: cut them with "
                        "data.documents = \"paragraphs\""));
  EXPECT_THAT(WhyNoScore(spec_, counts_), Not(HasSubstr("raise data.heldout")));
  spec_.data.format = DataFormat::kJsonl;
  EXPECT_THAT(WhyNoScore(spec_, counts_), HasSubstr("give more lines, or raise data.heldout"));
  spec_.data.format = DataFormat::kTokens;
  EXPECT_THAT(WhyNoScore(spec_, counts_),
              HasSubstr("say which id ends a document with data.end_of_document, or give more"));
  spec_.data.end_of_document = 7;
  EXPECT_THAT(WhyNoScore(spec_, counts_), HasSubstr("give more documents, or raise data.heldout"));
}

TEST_F(TextCountsTest, EverythingHeldOutIsRefused) {
  counts_ = {.heldout_documents = 1, .heldout_chunks = 200};
  EXPECT_THAT(Error(), HasSubstr("leaves nothing to train on, its one document being held out"));
  EXPECT_THAT(Error(), HasSubstr("documents = \"paragraphs\""));
}

TEST_F(TextCountsTest, WithoutHeldOutTextThereIsNoScoreButOnlyEvaluationWhileTrainingIsRefused) {
  spec_.data.heldout = 0;
  counts_.heldout_documents = counts_.heldout_chunks = 0;
  EXPECT_TRUE(CheckText(spec_, counts_).ok());
  EXPECT_EQ(WhyNoScore(spec_, counts_), "data.heldout = 0 leaves no text to score on");
  spec_.data.heldout = 0.02;
  spec_.eval.every = 10;
  EXPECT_THAT(Error(), HasSubstr("eval.every: there is nothing to evaluate on while training"));
}

// Four tokens after a chunk: 1 + ceil(4 / K) chunks.
TEST_F(TextCountsTest, HeldOutTextMayBeTooShortToScore) {
  for (const auto& [chunk_size, needed] : {std::pair{1, 5}, {2, 3}, {3, 3}, {4, 2}, {8, 2}}) {
    spec_.autoencoder.chunk_size = chunk_size;
    counts_.heldout_chunks = needed;
    EXPECT_EQ(WhyNoScore(spec_, counts_), "") << chunk_size;
    counts_.heldout_chunks = needed - 1;
    EXPECT_THAT(WhyNoScore(spec_, counts_),
                HasSubstr("and a score takes " + std::to_string(needed)))
        << chunk_size;
  }
}

TEST_F(TextCountsTest, TheAutoencodersShardsMayHoldNothing) {
  counts_.autoencoder_chunks = 0;
  EXPECT_THAT(Error(), HasSubstr("autoencoder.data_fraction: the shards"));
  spec_.model.head = HeadKind::kSoftmax;
  EXPECT_TRUE(CheckText(spec_, counts_).ok()) << "a baseline has no autoencoder";
}

TEST_F(TextCountsTest, MoreHeldOutTextThanCanBeCountedIsRefused) {
  counts_.heldout_chunks = uint64_t{1} << 30;
  EXPECT_TRUE(CheckText(spec_, counts_).ok());
  ++counts_.heldout_chunks;
  EXPECT_THAT(Error(), HasSubstr("lower data.heldout"));
}

}  // namespace
}  // namespace halcyon::jobs
