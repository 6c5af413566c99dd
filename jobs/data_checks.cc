// [data]: which keys have an effect with which format.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/spec_checks.h"
#include "jobs/spec_keys.h"

namespace halcyon::jobs {
namespace {

struct FormatKey {
  std::string_view path;
  std::vector<DataFormat> formats;  // with which it has an effect
  std::string_view why;             // with others, after "has no effect with format = F"
};

const std::vector<FormatKey>& FormatKeys() {
  constexpr DataFormat kText = DataFormat::kText, kJsonl = DataFormat::kJsonl,
                       kTokens = DataFormat::kTokens;
  static const auto* keys = new std::vector<FormatKey>{
      {"data.documents", {kText}, ", whose documents are parted otherwise; remove it"},
      {"data.field", {kJsonl}, "; remove it, or write format = \"jsonl\""},
      {"data.invalid_utf8", {kText, kJsonl}, ", which is no text; remove it"},
      {"data.bad_documents", {kText, kJsonl}, ", where a bad id ends the stage; remove it"},
      {"data.token_type", {kTokens}, "; remove it, or write format = \"tokens\""},
      {"data.end_of_document", {kTokens}, "; remove it, or write format = \"tokens\""},
  };
  return *keys;
}

class DataChecker {
 public:
  DataChecker(const JobSpec& spec, const SpecLines& lines, SpecErrors& errors)
      : spec_(spec), data_(spec.data), lines_(lines), errors_(errors) {}

  // A setting that is written but has no effect is a misunderstanding, so it is refused.
  void CheckFormatKeys(const std::vector<SpecKey>& keys) {
    const std::set<std::string> given = KeysThatDiffer(keys, JobSpec());
    for (const FormatKey& one : FormatKeys()) {
      const std::string path(one.path);
      if (std::ranges::count(one.formats, data_.format) > 0 || !given.contains(path)) continue;
      Refuse({path, "data.format"},
             fmt::format("has no effect with format = \"{}\"{}", FormatName(), one.why));
    }
  }

  void CheckText() {
    if (data_.field.empty())
      Refuse({"data.field"}, "is empty; name the member that holds the text");
    if (data_.format == DataFormat::kText && data_.bad_documents != DataSpec().bad_documents &&
        data_.invalid_utf8 == InvalidUtf8::kReplace) {
      Refuse({"data.bad_documents", "data.format", "data.invalid_utf8"},
             "has no effect with format = \"text\" and invalid_utf8 = \"replace\", where every "
             "document can be used; remove it, or write invalid_utf8 = \"refuse\"");
    }
  }

  void CheckTokens() {
    if (data_.format != DataFormat::kTokens) return;
    if (spec_.tokenizer.path.empty()) {
      Refuse({"data.format", "tokenizer.path"},
             "\"tokens\" needs the vocabulary that the ids belong to; write path = "
             "\"tokenizer.json\" in [tokenizer]");
    }
    if (data_.token_type == TokenType::kUint16 &&
        data_.end_of_document > std::numeric_limits<uint16_t>::max()) {
      Refuse({"data.end_of_document", "data.token_type"},
             fmt::format("{} does not fit into token_type = \"uint16\"; correct one of the two",
                         data_.end_of_document));
    }
  }

 private:
  std::string_view FormatName() const {
    switch (data_.format) {
      case DataFormat::kText:
        return "text";
      case DataFormat::kJsonl:
        return "jsonl";
      case DataFormat::kTokens:
        return "tokens";
    }
    return "";
  }

  void Refuse(const std::vector<std::string>& paths, const std::string& message) {
    jobs::Refuse(paths, message, lines_, errors_);
  }

  const JobSpec& spec_;
  const DataSpec& data_;
  const SpecLines& lines_;
  SpecErrors& errors_;
};

}  // namespace

void CheckData(const std::vector<SpecKey>& keys, const JobSpec& spec, const SpecLines& lines,
               SpecErrors& errors) {
  DataChecker checker(spec, lines, errors);
  checker.CheckFormatKeys(keys);
  checker.CheckText();
  checker.CheckTokens();
}

}  // namespace halcyon::jobs
