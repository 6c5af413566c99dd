// Which documents are never trained on.
#ifndef HALCYON_PIPELINE_SOURCES_HELDOUT_SPLIT_H_
#define HALCYON_PIPELINE_SOURCES_HELDOUT_SPLIT_H_

#include <string>
#include <string_view>

#include "jobs/job_spec.h"

namespace halcyon::pipeline {

// Whether a document is held out, decided by the XXH3 of its bytes alone, so equal documents are
// all held out or all trained on. `fraction`: of all documents, 0 ... 1.
bool IsHeldout(std::string_view text, double fraction);

// The documents of one file: all of them where it is one of data.heldout_sources, else by the
// fraction data.heldout.
class HeldoutSplit {
 public:
  HeldoutSplit(const jobs::DataSpec& data, const std::string& path);
  bool holds_all() const { return fraction_ >= 1; }
  bool Holds(std::string_view text) const { return IsHeldout(text, fraction_); }

 private:
  double fraction_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SOURCES_HELDOUT_SPLIT_H_
