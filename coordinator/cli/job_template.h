// The job file that `halcyon init` writes: few keys, each with its default and a comment on what it
// does.
#ifndef HALCYON_COORDINATOR_CLI_JOB_TEMPLATE_H_
#define HALCYON_COORDINATOR_CLI_JOB_TEMPLATE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "jobs/job_spec.h"

namespace halcyon::coordinator {

struct JobTemplate {
  std::string name;
  std::vector<std::string> sources;  // as written in the file
  jobs::DataFormat format = jobs::DataFormat::kText;
  jobs::DocumentRule documents = jobs::DocumentRule::kFile;  // of text
  jobs::TokenType token_type = jobs::TokenType::kAuto;       // of ids, as the next one
  int64_t end_of_document = -1;
  // Imported, from `path`, which ids need; without a path a vocabulary is learned.
  jobs::TokenizerSpec tokenizer = {};
  int64_t ranks = 1;
};

// A name that the job file allows, from that of a folder: "my text" -> "my-text"; "my-job" when
// nothing is left.
std::string JobNameFrom(const std::string& folder);

// How text like this falls into documents, of which some are to be held out: files when there are
// many, else paragraphs or lines when the beginning of one has many, else files.
jobs::DocumentRule GuessDocuments(size_t sources, std::string_view beginning);

// A source's path in a job file of the folder, which is absolute: relative where it lies below.
std::string NameWithin(const std::filesystem::path& folder, const std::string& source);

std::string JobFileText(const JobTemplate& job);

// kInvalidArgument: there is a file of this name already.
absl::Status CheckNoJobFile(Env& env, const std::string& path);
// Writes the job file, in a folder that is made when it is missing, and warns about its settings on
// standard error; returns what it says. kInvalidArgument: there is one already, or it does not
// hold.
absl::StatusOr<jobs::JobSpec> WriteJobFile(Env& env, const JobTemplate& job,
                                           const std::string& path);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CLI_JOB_TEMPLATE_H_
