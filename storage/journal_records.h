// The journal's values: JSON texts of its records. Members and their names are a format: a member
// may be added with a default, none may change its meaning without a new kJournalVersion.
#ifndef HALCYON_STORAGE_JOURNAL_RECORDS_H_
#define HALCYON_STORAGE_JOURNAL_RECORDS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "storage/journal.h"

namespace halcyon::storage {

inline constexpr uint64_t kJournalVersion = 1;

std::string EncodeJob(const JobRecord& job);
std::string EncodeArtifact(const ArtifactRecord& artifact);
std::string EncodeSource(const SourceRecord& source);
std::string EncodeNumber(uint64_t value);

// kDataLoss on anything that the functions above did not write.
absl::StatusOr<JobRecord> DecodeJob(std::string_view text);
absl::StatusOr<ArtifactRecord> DecodeArtifact(std::string_view text);
absl::StatusOr<SourceRecord> DecodeSource(std::string_view text);
absl::StatusOr<uint64_t> DecodeNumber(std::string_view text);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_JOURNAL_RECORDS_H_
