#include "coordinator/housekeeping/log_files.h"

#include <algorithm>
#include <string_view>

namespace halcyon::coordinator {
namespace {

constexpr std::string_view kEnding = ".log";
// A digit stands for any digit.
constexpr std::string_view kStampForm = "0000-00-00T00:00:00.000Z ";

}  // namespace

bool HasTimeStamp(std::string_view line) {
  if (line.size() < kStampForm.size()) return false;
  for (size_t i = 0; i < kStampForm.size(); ++i) {
    const bool digit = line[i] >= '0' && line[i] <= '9';
    if (kStampForm[i] == '0' ? !digit : line[i] != kStampForm[i]) return false;
  }
  return true;
}

std::vector<LogLine> LogLinesOf(const std::string& process, std::string_view text) {
  std::vector<LogLine> lines;
  std::string time;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (HasTimeStamp(line)) {
      time = line.substr(0, kStampForm.size() - 1);
      lines.push_back({time, std::string(line)});
    } else {
      lines.push_back({time, process + ": " + std::string(line)});
    }
  }
  return lines;
}

std::vector<LogLine> Merged(std::vector<std::vector<LogLine>> files) {
  std::vector<LogLine> lines;
  for (std::vector<LogLine>& file : files) {
    lines.insert(lines.end(), std::make_move_iterator(file.begin()),
                 std::make_move_iterator(file.end()));
  }
  // Within a file the times do not go back, so a stable order keeps its lines together.
  std::stable_sort(lines.begin(), lines.end(),
                   [](const LogLine& a, const LogLine& b) { return a.time < b.time; });
  return lines;
}

absl::StatusOr<std::vector<std::string>> LogReader::Processes() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, env_.ListDir(folder_));
  std::vector<std::string> processes;
  for (const std::string& name : names) {
    if (!name.ends_with(kEnding)) continue;
    processes.push_back(name.substr(0, name.size() - kEnding.size()));
  }
  return processes;
}

bool LogReader::IsChosen(const std::string& process) const {
  if (!process_.empty() && process != process_) return false;
  return !rank_ || process.ends_with("-rank-" + std::to_string(*rank_));
}

absl::StatusOr<std::string> LogReader::NewText(const std::string& process) {
  const std::string path = JoinPath(folder_, process + std::string(kEnding));
  ASSIGN_OR_RETURN(const uint64_t size, env_.FileSize(path));
  uint64_t& read = read_[process];
  if (size < read) read = 0;
  ASSIGN_OR_RETURN(std::string text, env_.ReadRange(path, read, size - read));
  // A partial line is read once its end has been written.
  text.resize(text.rfind('\n') + 1);
  read += text.size();
  return text;
}

absl::StatusOr<std::vector<LogLine>> LogReader::Next() {
  ASSIGN_OR_RETURN(const std::vector<std::string> processes, Processes());
  std::vector<std::vector<LogLine>> files;
  for (const std::string& process : processes) {
    if (!IsChosen(process)) continue;
    const auto text = NewText(process);
    // A log may be replaced at the very moment that it is read; the next call gets the rest.
    if (!text.ok()) continue;
    files.push_back(LogLinesOf(process, *text));
  }
  return Merged(std::move(files));
}

}  // namespace halcyon::coordinator
