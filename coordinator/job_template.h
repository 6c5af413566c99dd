// The job file that `halcyon init` writes: few keys, each with its default and a comment on what it
// does.
#ifndef HALCYON_COORDINATOR_JOB_TEMPLATE_H_
#define HALCYON_COORDINATOR_JOB_TEMPLATE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/job_spec.h"

namespace halcyon::coordinator {

struct JobTemplate {
  std::string name;
  std::vector<std::string> sources;  // as written in the file
  jobs::DataFormat format = jobs::DataFormat::kText;
  jobs::DocumentRule documents = jobs::DocumentRule::kFile;  // of text
  int64_t ranks = 1;
};

// A name that the job file allows, from that of a folder: "my text" -> "my-text"; "my-job" when
// nothing is left.
std::string JobNameFrom(const std::string& folder);

// How text like this falls into documents, of which some are to be held out: files when there are
// many, else paragraphs or lines when the beginning of one has many, else files.
jobs::DocumentRule GuessDocuments(size_t sources, std::string_view beginning);

std::string JobFileText(const JobTemplate& job);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_JOB_TEMPLATE_H_
