// An option that takes one of a few words. Its help names them and the default: "--format
// {text,jsonl}=text".
#ifndef HALCYON_COORDINATOR_CLI_CHOICE_OPTION_H_
#define HALCYON_COORDINATOR_CLI_CHOICE_OPTION_H_

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace halcyon::coordinator {

template <typename Value>
using Choices = std::vector<std::pair<std::string, Value>>;

// `*value` is the default when it is one of the choices; it outlives the parsing.
template <typename Value>
CLI::Option* AddChoice(CLI::App* command, const std::string& name, Value* value,
                       const Choices<Value>& choices, const std::string& description) {
  std::string words, default_word;
  for (const auto& [word, choice] : choices) {
    words += (words.empty() ? "" : ",") + word;
    if (choice == *value) default_word = word;
  }
  const auto take = [=](const std::string& word) {
    const auto found = std::find_if(choices.begin(), choices.end(),
                                    [&](const auto& choice) { return choice.first == word; });
    if (found == choices.end()) {
      throw CLI::ValidationError(name, "\"" + word + "\" is not one of " + words);
    }
    *value = found->second;
  };
  CLI::Option* option = command->add_option_function<std::string>(name, take, description);
  option->type_name("{" + words + "}");
  if (!default_word.empty()) option->default_str(default_word);
  return option;
}

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CLI_CHOICE_OPTION_H_
