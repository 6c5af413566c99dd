// Why a stage is made and not reused. Pure.
#ifndef HALCYON_COORDINATOR_DISPLAY_EXPLAIN_H_
#define HALCYON_COORDINATOR_DISPLAY_EXPLAIN_H_

#include <optional>
#include <string>
#include <vector>

#include "jobs/stage_identity.h"
#include "storage/artifact.h"

namespace halcyon::coordinator {

// Begins the value of a field, an input, that stands for a digest not known yet.
inline constexpr char kToBeMade[] = "(to be made) ";

// The artifact of the same kind that differs in the fewest fields, the newest of several.
// `earlier`: newest first, of any kind. nullptr when there is none of the kind.
const storage::ArtifactRecord* NearestArtifact(const jobs::StageIdentity& identity,
                                               const std::vector<storage::ArtifactRecord>& earlier);

// "autoencoder.chunk_size: 4 -> 8, input.tokens: 3f2a91c0 -> 91c04411"; digests are cut short, and
// past a few fields it counts.
std::string Describe(const std::vector<jobs::FieldDifference>& differences);

// "train.learning_rate = 0.002, train.batch = 8": what they were before; cut short as above.
std::string DescribeBefore(const std::vector<jobs::FieldDifference>& differences);
// "train.learning_rate, train.batch".
std::string DescribeNames(const std::vector<jobs::FieldDifference>& differences);

// One line: "none made before" or "changed: ...".
std::string WhyMade(const jobs::StageIdentity& identity,
                    const std::vector<storage::ArtifactRecord>& earlier);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_DISPLAY_EXPLAIN_H_
