#include "pipeline/tokenizer/special_names.h"

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "pipeline/tokenizer.h"

namespace halcyon::pipeline {
namespace {

// In the order in which they are looked for; each is the name in some family of models.
constexpr std::array<std::string_view, 8> kEndOfTextNames = {
    kEndOfText, "</s>", "<|end_of_text|>", "<eos>", "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
    "<EOT>", "[SEP]",
    // Ends a turn of a conversation; in some vocabularies a text, too, and nothing else does.
    "<|im_end|>"};
constexpr std::array<std::string_view, 3> kPaddingNames = {kPadding, "<pad>", "[PAD]"};

std::optional<uint32_t> FindSpecial(const std::vector<std::string>& tokens,
                                    const std::vector<bool>& special,
                                    std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    for (uint32_t id = 0; id < tokens.size(); ++id) {
      if (special[id] && tokens[id] == name) return id;
    }
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<SpecialTokens> ChooseSpecialTokens(const std::vector<std::string>& tokens,
                                                  const std::vector<bool>& special) {
  const std::optional<uint32_t> end_of_text = FindSpecial(tokens, special, kEndOfTextNames);
  if (!end_of_text) {
    std::string names;
    for (const std::string_view name : kEndOfTextNames) names.append(" ").append(name);
    return InvalidArgument("no special token ends a text; add one of" + names);
  }
  return SpecialTokens{*end_of_text,
                       FindSpecial(tokens, special, kPaddingNames).value_or(*end_of_text)};
}

}  // namespace halcyon::pipeline
