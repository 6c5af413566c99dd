#include "coordinator/housekeeping/log_record.h"

#include <charconv>
#include <cstdint>

namespace halcyon::coordinator {
namespace {

// The next word of `text`, which is cut off with the space after it.
std::string_view TakeWord(std::string_view* text) {
  const std::string_view word = text->substr(0, text->find(' '));
  text->remove_prefix(std::min(word.size() + 1, text->size()));
  return word;
}

}  // namespace

std::optional<LogRecord> ParseLogLine(std::string_view line) {
  if (!HasTimeStamp(line)) return std::nullopt;
  const size_t colon = line.find(": ");
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view head = line.substr(0, colon);
  LogRecord record;
  record.message = line.substr(colon + 2);
  record.time = TakeWord(&head);
  record.level = TakeWord(&head);
  record.process = TakeWord(&head);
  if (record.process.empty()) return std::nullopt;
  while (!head.empty()) {
    const std::string_view word = TakeWord(&head);
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    record.fields[std::string(word.substr(0, equals))] = word.substr(equals + 1);
  }
  return record;
}

nlohmann::json ToJson(const LogRecord& record) {
  nlohmann::json json = record.fields;
  if (record.fields.empty()) json = nlohmann::json::object();
  json["time"] = record.time;
  json["level"] = record.level;
  json["process"] = record.process;
  json["message"] = record.message;
  return json;
}

nlohmann::json JsonOfLine(const LogLine& line) {
  const std::optional<LogRecord> record = ParseLogLine(line.text);
  if (!record) {
    const size_t colon = line.text.find(": ");
    const bool has_process = colon != std::string::npos;
    return {{"time", line.time.empty() ? nlohmann::json() : nlohmann::json(line.time)},
            {"level", nullptr},
            {"process", has_process ? line.text.substr(0, colon) : ""},
            {"message", has_process ? line.text.substr(colon + 2) : line.text}};
  }
  nlohmann::json json = ToJson(*record);
  for (const char* name : {"rank", "step"}) {
    const auto field = record->fields.find(name);
    if (field == record->fields.end()) continue;
    const std::string& digits = field->second;
    int64_t number = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    const bool is_number = parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size();
    if (is_number) json[name] = number;
  }
  return json;
}

}  // namespace halcyon::coordinator
