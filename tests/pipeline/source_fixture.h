// Source files of a test, planned and read.
#ifndef HALCYON_TESTS_PIPELINE_SOURCE_FIXTURE_H_
#define HALCYON_TESTS_PIPELINE_SOURCE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/env.h"
#include "pipeline/sources/document_reader.h"
#include "pipeline/sources/shard_plan.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::pipeline {

// Without a sync: a test that writes thousands of files would wait for the disk.
inline void PutFile(const std::string& path, const std::string& bytes) {
  auto file = Env::Posix()->NewWritableFile(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE((*file)->Append(bytes).ok());
  ASSERT_TRUE((*file)->Close().ok());
}

class SourceTest : public ::testing::Test {
 protected:
  // Adds a source with these bytes.
  void Write(const std::string& name, const std::string& bytes) {
    Replace(name, bytes);
    data_.sources.push_back(dir_.Path(name));
  }
  void Replace(const std::string& name, const std::string& bytes) {
    PutFile(dir_.Path(name), bytes);
  }

  // The ranges of all shards.
  std::vector<SourceRange> Plan() {
    auto plan = PlanShards(data_);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? RangesOf(*plan) : std::vector<SourceRange>();
  }

  // The documents of all ranges, in order; counts_ receives their sums.
  absl::StatusOr<std::vector<std::string>> Read(const std::vector<SourceRange>& plan) {
    std::vector<std::string> documents;
    counts_ = {};
    warnings_.clear();
    for (const SourceRange& range : plan) {
      ASSIGN_OR_RETURN(const ReadCounts counts,
                       ReadDocuments(data_, range, [&](std::string_view text) {
                         documents.emplace_back(text);
                         return absl::OkStatus();
                       }));
      counts_.documents += counts.documents;
      counts_.bytes += counts.bytes;
      counts_.invalid_utf8 += counts.invalid_utf8;
      counts_.invalid_documents += counts.invalid_documents;
      counts_.bad_documents += counts.bad_documents;
      if (counts_.first_bad.empty()) counts_.first_bad = counts.first_bad;
      warnings_ += WarningOf(range, counts);
    }
    return documents;
  }
  std::vector<std::string> Documents() {
    auto documents = Read(Plan());
    EXPECT_TRUE(documents.ok()) << documents.status();
    return documents.ok() ? *documents : std::vector<std::string>();
  }
  absl::Status Error() { return Read(Plan()).status(); }

  testing::TempDir dir_;
  jobs::DataSpec data_;
  ReadCounts counts_;
  std::string warnings_;  // of all ranges
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_TESTS_PIPELINE_SOURCE_FIXTURE_H_
