#include <nlohmann/json.hpp>

#include "pipeline/tokenizer/json/stage_readers.h"
#include "pipeline/tokenizer/split_pattern.h"

namespace halcyon::pipeline {
namespace {

absl::StatusOr<SplitBehavior> ReadBehavior(const JsonNode& node) {
  ASSIGN_OR_RETURN(const std::string name, node.String());
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return node.Unsupported();
}

// Reads one pre-tokenizer into what it consists of.
class PreTokenizerReader {
 public:
  absl::Status Add(const JsonNode& node) {
    ASSIGN_OR_RETURN(const std::string type, node["type"].String());
    if (type == "Sequence") {
      ASSIGN_OR_RETURN(const std::vector<JsonNode> steps, node["pretokenizers"].Items());
      for (const JsonNode& step : steps) RETURN_IF_ERROR(Add(step));
      return absl::OkStatus();
    }
    if (type == "ByteLevel") return AddByteLevel(node);
    if (type == "Split") return AddSplit(node);
    form_ = Form::kOther;
    const CodePointSet& space = CodePointSetOf("White_Space");
    if (type == "Metaspace") return AddMetaspace(node);
    if (type == "Whitespace") return AddParts(Words(), SplitBehavior::kRemoved, true);
    if (type == "WhitespaceSplit") return AddParts(MatchesOf(space), SplitBehavior::kRemoved);
    if (type == "BertPreTokenizer") {
      RETURN_IF_ERROR(AddParts(MatchesOf(space), SplitBehavior::kRemoved));
      return AddParts(MatchesOf(CodePointSetOf("punctuation")), SplitBehavior::kIsolated);
    }
    if (type == "Digits") {
      ASSIGN_OR_RETURN(const bool individual, node["individual_digits"].Bool());
      return AddParts(MatchesOf(CodePointSetOf("numeric")),
                      individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous);
    }
    if (type == "Punctuation") {
      SplitBehavior behavior = SplitBehavior::kIsolated;
      if (!node["behavior"].is_null()) {
        ASSIGN_OR_RETURN(behavior, ReadBehavior(node["behavior"]));
      }
      return AddParts(MatchesOf(CodePointSetOf("punctuation")), behavior);
    }
    return node["type"].Unsupported();
  }

  ReadPreTokenizers Take() {
    if (form_ == Form::kByteLevel) out_.byte_level_regex = regex_;
    return std::move(out_);
  }

 private:
  // Whether what was read so far is the form of ReadPreTokenizers::byte_level_regex.
  enum class Form { kNothing, kSplit, kByteLevel, kOther };

  absl::Status AddParts(SpanPattern pattern, SplitBehavior behavior, bool invert = false) {
    out_.steps.push_back(SplitPreTokenizer(std::move(pattern), behavior, invert));
    return absl::OkStatus();
  }

  absl::Status AddByteLevel(const JsonNode& node) {
    ASSIGN_OR_RETURN(const bool add_prefix_space, node["add_prefix_space"].Bool(true));
    ASSIGN_OR_RETURN(const bool use_regex, node["use_regex"].Bool(true));
    if (add_prefix_space) out_.steps.push_back(PrefixSpacePreTokenizer());
    if (use_regex) {
      ASSIGN_OR_RETURN(const std::string regex, PatternByName("gpt2"));
      ASSIGN_OR_RETURN(SpanPattern compiled, CompilePattern(regex));
      RETURN_IF_ERROR(AddParts(std::move(compiled), SplitBehavior::kIsolated));
      if (form_ == Form::kNothing) regex_ = regex;
    }
    out_.steps.push_back(ByteSpellingPreTokenizer());
    const bool cuts_once = use_regex ? form_ == Form::kNothing : form_ == Form::kSplit;
    form_ = cuts_once && !add_prefix_space ? Form::kByteLevel : Form::kOther;
    return absl::OkStatus();
  }

  absl::Status AddSplit(const JsonNode& node) {
    ASSIGN_OR_RETURN(SpanPattern pattern, ReadPattern(node["pattern"]));
    ASSIGN_OR_RETURN(const SplitBehavior behavior, ReadBehavior(node["behavior"]));
    ASSIGN_OR_RETURN(const bool invert, node["invert"].Bool());
    const JsonNode regex = node["pattern"]["Regex"];
    if (form_ == Form::kNothing && behavior == SplitBehavior::kIsolated && !regex.is_null()) {
      form_ = Form::kSplit;
      ASSIGN_OR_RETURN(regex_, regex.String());
    } else {
      form_ = Form::kOther;
    }
    return AddParts(std::move(pattern), behavior, invert);
  }

  absl::Status AddMetaspace(const JsonNode& node) {
    ASSIGN_OR_RETURN(const std::string replacement, node["replacement"].String());
    if (replacement.empty()) return node["replacement"].Refuse("empty");
    PrependScheme scheme = PrependScheme::kAlways;
    const JsonNode scheme_node = node["prepend_scheme"];
    if (!scheme_node.is_null()) {
      ASSIGN_OR_RETURN(const std::string name, scheme_node.String());
      if (name != "always" && name != "first" && name != "never") return scheme_node.Unsupported();
      scheme = name == "first"   ? PrependScheme::kFirst
               : name == "never" ? PrependScheme::kNever
                                 : PrependScheme::kAlways;
    }
    ASSIGN_OR_RETURN(const bool add_prefix_space, node["add_prefix_space"].Bool(true));
    if (!add_prefix_space && scheme != PrependScheme::kNever) {
      return node["add_prefix_space"].Refuse("contradicts prepend_scheme");
    }
    out_.looks_at_start |= scheme == PrependScheme::kFirst;
    out_.steps.push_back(SpaceReplacingPreTokenizer(replacement, scheme));
    ASSIGN_OR_RETURN(const bool split, node["split"].Bool(true));
    if (!split) return absl::OkStatus();
    return AddParts(MatchesOf(replacement), SplitBehavior::kMergedWithNext);
  }

  ReadPreTokenizers out_;
  Form form_ = Form::kNothing;
  std::string regex_;
};

}  // namespace

absl::StatusOr<ReadPreTokenizers> ReadPreTokenizer(const JsonNode& node) {
  PreTokenizerReader reader;
  if (!node.is_null()) RETURN_IF_ERROR(reader.Add(node));
  return reader.Take();
}

}  // namespace halcyon::pipeline
