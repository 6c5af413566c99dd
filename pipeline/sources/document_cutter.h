// Where documents begin in a source. The planner and the reader share this rule, so a shard read
// alone gives the very documents that the whole file would.
#ifndef HALCYON_PIPELINE_SOURCES_DOCUMENT_CUTTER_H_
#define HALCYON_PIPELINE_SOURCES_DOCUMENT_CUTTER_H_

#include <cstddef>
#include <string_view>

#include "jobs/job_spec.h"

namespace halcyon::pipeline {

// Only spaces, tabs and line ends.
bool IsBlank(std::string_view text);

// Without the mark that some programs put before the text of a file in UTF-8.
std::string_view WithoutByteOrderMark(std::string_view text);

// The document rule of a data set: JSON lines are lines.
jobs::DocumentRule RuleOf(const jobs::DataSpec& data);

// Start of the first document that begins at `from` or later; npos when there is none. `text`
// begins at a document or at the start of the file. Text may end anywhere: more bytes after it
// never move a start that is found. REQUIRES: from >= 1.
size_t FindDocumentStart(jobs::DocumentRule rule, std::string_view text, size_t from);

// Removes the first document of `rest` and returns it without the newlines at its end. Blank lines
// before it are left out except with kFile; those inside and after it are its text with kFile and
// kEntries only. May be blank.
std::string_view TakeDocument(jobs::DocumentRule rule, std::string_view* rest);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_SOURCES_DOCUMENT_CUTTER_H_
