// Files of ids of a test, planned and read.
#ifndef HALCYON_TESTS_PIPELINE_TOKEN_FILES_TOKEN_FIXTURE_H_
#define HALCYON_TESTS_PIPELINE_TOKEN_FILES_TOKEN_FIXTURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/token_files/token_documents.h"
#include "tests/pipeline/source_fixture.h"
#include "tests/pipeline/token_file_bytes.h"

namespace halcyon::pipeline {

class TokenFileTest : public SourceTest {
 protected:
  using Ids = std::vector<int64_t>;

  TokenFileTest() { data_.format = jobs::DataFormat::kTokens; }

  // NAME.bin and NAME.idx, which the job names one after the other.
  void WriteIndexed(const std::string& name, const std::string& ids, const std::string& index) {
    Write(name + ".bin", ids);
    Write(name + ".idx", index);
  }

  absl::StatusOr<std::vector<Ids>> ReadIds(const std::vector<SourceRange>& plan) {
    std::vector<Ids> documents;
    warnings_.clear();
    for (const SourceRange& range : plan) {
      double before = 0;
      ASSIGN_OR_RETURN(const TokenCounts counts,
                       ReadTokenDocuments(*Env::Posix(), data_, range, known_,
                                          [&](std::span<const uint32_t> ids, double done) {
                                            documents.emplace_back(ids.begin(), ids.end());
                                            EXPECT_GT(done, before);
                                            EXPECT_LE(done, 1);
                                            before = done;
                                            return absl::OkStatus();
                                          }));
      warnings_ += WarningOf(data_, range, counts);
    }
    return documents;
  }
  std::vector<Ids> IdsOfDocuments() {
    auto documents = ReadIds(Plan());
    EXPECT_TRUE(documents.ok()) << documents.status();
    return documents.ok() ? *documents : std::vector<Ids>();
  }
  std::string PlanError() { return MessageOf(PlanShards(data_).status()); }
  std::string ReadError() {
    const absl::Status status = ReadIds(Plan()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return MessageOf(status);
  }

  std::vector<bool> known_ = std::vector<bool>(1000, true);
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_TESTS_PIPELINE_TOKEN_FILES_TOKEN_FIXTURE_H_
