#include "worker/generation/generator.h"

#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>

namespace halcyon::worker {

// A text that is being written.
struct Generator::Row {
  size_t prompt = 0;
  Tokens prefix;  // leftover tokens of the prompt, for the first step
  int64_t steps_left = 0;
  bool ended = false;
  GeneratedText text;
};

Generator::Generator(StepSampler* sampler, const pipeline::PackingRule& rule)
    : sampler_(sampler), rule_(rule) {}

absl::StatusOr<std::vector<Generator::Row>> Generator::Begin(
    std::span<const std::vector<uint32_t>> prompts, const GenerationOptions& options) {
  RETURN_IF_ERROR(sampler_->Check(options.rule));
  if (prompts.empty()) return InvalidArgument("no prompts to continue");
  if (options.tokens < 1) {
    return InvalidArgument(fmt::format("{} tokens to generate; use at least 1", options.tokens));
  }
  const int64_t step_size = sampler_->step_size();
  std::vector<Row> rows(prompts.size());
  std::vector<Tokens> contexts;
  for (size_t i = 0; i < prompts.size(); ++i) {
    // What stands before a document in training: the end of the one before.
    Tokens context(step_size, rule_.padding);
    context[0] = rule_.end_of_text;
    context.insert(context.end(), prompts[i].begin(), prompts[i].end());
    for (const int64_t id : context) {
      if (id < sampler_->vocab_size()) continue;
      return InvalidArgument(fmt::format("prompt: id {} is not in the vocabulary", id));
    }
    const int64_t leftover = static_cast<int64_t>(context.size()) % step_size;
    rows[i].prompt = i;
    rows[i].prefix.assign(context.end() - leftover, context.end());
    rows[i].steps_left = (leftover + options.tokens + step_size - 1) / step_size;
    context.resize(context.size() - leftover);
    contexts.push_back(std::move(context));
  }
  sampler_->Begin(std::move(contexts));
  return rows;
}

bool Generator::Take(const StepChoice& choice, const GenerationOptions& options, Row* row) const {
  GeneratedText& text = row->text;
  for (size_t i = row->prefix.size(); i < choice.tokens.size() && !row->ended; ++i) {
    const auto id = static_cast<uint32_t>(choice.tokens[i]);
    const bool has_room = static_cast<int64_t>(text.ids.size()) < options.tokens;
    row->ended = id == rule_.end_of_text && has_room;
    if (id != rule_.end_of_text && id != rule_.padding && has_room) text.ids.push_back(id);
  }
  row->prefix.clear();
  --row->steps_left;
  ++text.steps;
  text.draws += choice.draws;
  text.steps_ran_out += choice.ran_out ? 1 : 0;
  text.prefix_missed = text.prefix_missed || choice.prefix_missed;
  text.end = row->ended ? TextEnd::kEndOfText : TextEnd::kLength;
  return row->steps_left > 0 && (options.in_step || !row->ended);
}

absl::StatusOr<std::vector<GeneratedText>> Generator::Continue(
    std::span<const std::vector<uint32_t>> prompts, const GenerationOptions& options,
    const std::function<void(size_t, std::span<const uint32_t>)>& on_tokens) {
  c10::NoGradGuard no_grad;
  ASSIGN_OR_RETURN(std::vector<Row> rows, Begin(prompts, options));
  std::vector<GeneratedText> texts(prompts.size());
  StepOptions step{.rule = options.rule, .seed = options.seed, .draw_all = options.in_step};
  for (;; ++step.step) {
    std::vector<uint64_t> numbers;
    std::vector<Tokens> prefixes;
    for (const Row& row : rows) {
      numbers.push_back(options.first_text + row.prompt);
      prefixes.push_back(row.prefix);
    }
    const std::vector<StepChoice> choices = sampler_->Draw(numbers, prefixes, step);
    std::vector<int64_t> kept;
    std::vector<Tokens> added;
    std::vector<Row> going_on;
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t before = rows[i].text.ids.size();
      const bool goes_on = Take(choices[i], options, &rows[i]);
      if (on_tokens) on_tokens(rows[i].prompt, std::span(rows[i].text.ids).subspan(before));
      if (goes_on) {
        kept.push_back(static_cast<int64_t>(i));
        added.push_back(choices[i].tokens);
        going_on.push_back(std::move(rows[i]));
      } else {
        texts[rows[i].prompt] = std::move(rows[i].text);
      }
    }
    if (kept.empty()) break;
    if (kept.size() < rows.size()) sampler_->Keep(kept);
    sampler_->Append(added);
    rows = std::move(going_on);
  }
  return texts;
}

}  // namespace halcyon::worker
