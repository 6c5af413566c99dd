#include "pipeline/tokenizer/decoders.h"

#include <optional>
#include <string_view>
#include <utility>

#include "pipeline/tokenizer/byte_alphabet.h"
#include "pipeline/tokenizer/models/model.h"
#include "pipeline/tokenizer/normalizers.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

void ReplaceAll(std::string_view what, std::string_view by, std::string* text) {
  if (what.empty()) return;
  for (size_t at = text->find(what); at != std::string::npos;
       at = text->find(what, at + by.size())) {
    text->replace(at, what.size(), by);
  }
}

// In the order of the reference, which matters.
constexpr std::pair<std::string_view, std::string_view> kCleanups[] = {
    {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
    {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};

}  // namespace

Decoder ByteLevelDecoder() {
  return [](std::vector<std::string>* tokens) {
    for (std::string& token : *tokens) {
      if (std::optional<std::string> bytes = ReadSpelling(token)) token = *std::move(bytes);
    }
  };
}

Decoder ByteFallbackDecoder() {
  return [](std::vector<std::string>* tokens) {
    std::vector<std::string> out;
    std::string run;
    const auto flush = [&] {
      if (IsValidUtf8(run)) {
        if (!run.empty()) out.push_back(run);
      } else {
        out.insert(out.end(), run.size(), "\uFFFD");
      }
      run.clear();
    };
    for (std::string& token : *tokens) {
      if (const auto byte = ReadByteToken(token)) {
        run += static_cast<char>(*byte);
        continue;
      }
      flush();
      out.push_back(std::move(token));
    }
    flush();
    *tokens = std::move(out);
  };
}

Decoder FuseDecoder() {
  return [](std::vector<std::string>* tokens) {
    std::string fused;
    for (const std::string& token : *tokens) fused += token;
    *tokens = {std::move(fused)};
  };
}

Decoder MetaspaceDecoder(std::string replacement, bool strip_first) {
  return [replacement = std::move(replacement), strip_first](std::vector<std::string>* tokens) {
    for (size_t i = 0; i < tokens->size(); ++i) {
      ReplaceAll(replacement, i == 0 && strip_first ? "" : " ", &(*tokens)[i]);
    }
  };
}

Decoder WordPieceDecoder(std::string prefix, bool cleanup) {
  return [prefix = std::move(prefix), cleanup](std::vector<std::string>* tokens) {
    for (size_t i = 0; i < tokens->size(); ++i) {
      std::string& token = (*tokens)[i];
      if (i > 0) token = token.starts_with(prefix) ? token.substr(prefix.size()) : ' ' + token;
      if (!cleanup) continue;
      for (const auto& [what, by] : kCleanups) ReplaceAll(what, by, &token);
    }
  };
}

Decoder BpeSuffixDecoder(std::string suffix) {
  return [suffix = std::move(suffix)](std::vector<std::string>* tokens) {
    for (size_t i = 0; i < tokens->size(); ++i) {
      ReplaceAll(suffix, i + 1 == tokens->size() ? "" : " ", &(*tokens)[i]);
    }
  };
}

Decoder ReplaceDecoder(SpanPattern pattern, std::string content) {
  return [pattern = std::move(pattern),
          content = std::move(content)](std::vector<std::string>* tokens) {
    for (std::string& token : *tokens) token = ReplaceMatches(pattern, content, token);
  };
}

Decoder StripDecoder(std::string content, uint64_t start, uint64_t stop) {
  return [content = std::move(content), start, stop](std::vector<std::string>* tokens) {
    for (std::string& token : *tokens) {
      std::string_view rest = token;
      for (uint64_t i = 0; i < start && rest.starts_with(content); ++i) {
        rest.remove_prefix(content.size());
      }
      for (uint64_t i = 0; i < stop && rest.ends_with(content); ++i) {
        rest.remove_suffix(content.size());
      }
      token = std::string(rest);
    }
  };
}

}  // namespace halcyon::pipeline
