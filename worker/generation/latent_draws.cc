#include "worker/generation/latent_draws.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/check.h"
#include "model/to_device.h"

namespace halcyon::worker {
namespace {

// Latents drawn at a time in search of ones that meet a prefix.
constexpr int64_t kPrefixBlock = 64;

at::Tensor Select(const at::Tensor& all, const std::vector<int64_t>& rows) {
  return all.index_select(0, model::ToDevice(at::tensor(rows, at::kLong), all.device()));
}

void AppendRows(at::Tensor* all, const at::Tensor& rows) {
  *all = all->defined() ? at::cat({*all, rows}) : rows;
}

}  // namespace

LatentDraws::LatentDraws(model::CalmModel* model, model::Autoencoder* autoencoder,
                         const at::Tensor& hidden, const model::NoiseRows& noise,
                         std::span<const Tokens> prefixes, int64_t made_max)
    : model_(model),
      autoencoder_(autoencoder),
      hidden_(hidden.unsqueeze(1)),
      noise_(noise),
      made_max_(made_max) {
  for (const Tokens& prefix : prefixes) {
    texts_.emplace_back(model->chunk_size()).prefix = prefix;
  }
}

at::Tensor LatentDraws::Decode(const std::vector<int64_t>& rows, int64_t first, int64_t count) {
  std::vector<int64_t> fresh, states;
  for (const int64_t row : rows) {
    if (state_of_row_[row] < 0) {
      const int64_t known = states_.defined() ? states_.size(0) : 0;
      state_of_row_[row] = known + static_cast<int64_t>(fresh.size());
      fresh.push_back(row);
    }
    states.push_back(state_of_row_[row]);
  }
  if (!fresh.empty()) {
    AppendRows(&states_, autoencoder_->DecodeStates(Select(latents_, fresh)));
  }
  return autoencoder_->DecodeTokensOf(Select(states_, states), first, count).cpu().contiguous();
}

void LatentDraws::DrawLatents(const std::vector<int64_t>& texts, int64_t until) {
  const int64_t first = texts_[texts.front()].made, count = until - first;
  model::NoiseRows noise = noise_;
  noise.rows.clear();
  for (const int64_t text : texts) noise.rows.push_back(noise_.rows[text]);
  const at::Tensor drawn = model_->Sample(Select(hidden_, texts), first, count, noise);
  const int64_t first_row = latents_.defined() ? latents_.size(0) : 0;
  // One text after the other: [texts * count, latent].
  AppendRows(&latents_, drawn.squeeze(2).transpose(0, 1).reshape({-1, drawn.size(3)}));
  state_of_row_.resize(latents_.size(0), -1);
  for (size_t i = 0; i < texts.size(); ++i) {
    Text& text = texts_[texts[i]];
    if (text.made == 0) text.first_row = first_row + static_cast<int64_t>(i) * count;
    text.made = until;
  }
  AddCandidates(texts, first_row, count);
}

void LatentDraws::AddCandidates(const std::vector<int64_t>& texts, int64_t first_row,
                                int64_t count) {
  const int64_t row_bytes = latents_.size(1) * static_cast<int64_t>(sizeof(float));
  const at::Tensor fresh = latents_.cpu().contiguous();
  const auto* bytes = reinterpret_cast<const char*>(fresh.const_data_ptr<float>());
  for (size_t i = 0; i < texts.size(); ++i) {
    Text& text = texts_[texts[i]];
    const auto prefix_size = static_cast<int64_t>(text.prefix.size());
    std::vector<int64_t> rows(count);
    for (int64_t j = 0; j < count; ++j) rows[j] = first_row + static_cast<int64_t>(i) * count + j;
    at::Tensor begins;
    if (prefix_size > 0) begins = Decode(rows, 0, prefix_size);
    for (int64_t j = 0; j < count; ++j) {
      if (prefix_size > 0 && !std::equal(text.prefix.begin(), text.prefix.end(),
                                         begins.const_data_ptr<int64_t>() + j * prefix_size)) {
        continue;
      }
      const std::string latent(bytes + rows[j] * row_bytes, row_bytes);
      const auto [place, is_new] =
          text.candidate_of_latent.try_emplace(latent, text.candidates.count());
      text.row_of_candidate.push_back(rows[j]);
      if (!is_new) {
        text.candidates.AddCopyOf(place->second);
        continue;
      }
      text.candidates.Add();
      text.candidates.Learn(text.candidates.count() - 1, text.prefix);
    }
  }
}

void LatentDraws::Provide(std::span<const model::Needs> needs) {
  while (ProvideDraws(needs)) {
  }
  ProvideTokens(needs);
}

// Texts that have made as many draws are drawn for together.
bool LatentDraws::ProvideDraws(std::span<const model::Needs> needs) {
  std::map<int64_t, std::vector<int64_t>> texts_by_made;
  std::map<int64_t, int64_t> until;
  for (size_t i = 0; i < texts_.size(); ++i) {
    const Text& text = texts_[i];
    const int64_t missing = needs[i].draws - text.candidates.count();
    if (missing <= 0 || text.made >= made_max_) continue;
    texts_by_made[text.made].push_back(static_cast<int64_t>(i));
    const int64_t block = text.prefix.empty() ? missing : kPrefixBlock;
    until[text.made] = std::max(until[text.made], std::min(made_max_, text.made + block));
  }
  for (const auto& [made, texts] : texts_by_made) DrawLatents(texts, until[made]);
  return !texts_by_made.empty();
}

void LatentDraws::ProvideTokens(std::span<const model::Needs> needs) {
  using Place = std::pair<int64_t, int64_t>;  // text, candidate
  std::map<Place, int64_t> wanted;
  for (size_t i = 0; i < texts_.size(); ++i) {
    const model::Draws& candidates = texts_[i].candidates;
    for (const model::Needs::Tokens& wish : needs[i].tokens) {
      if (wish.draw >= candidates.count()) continue;
      int64_t& count = wanted[{static_cast<int64_t>(i), candidates.Source(wish.draw)}];
      count = std::max(count, wish.count);
    }
  }
  // Those that know and want as many tokens go through the decoder together.
  std::map<std::pair<int64_t, int64_t>, std::vector<Place>> passes;
  for (const auto& [place, count] : wanted) {
    const auto known =
        static_cast<int64_t>(texts_[place.first].candidates.Known(place.second).size());
    if (known < count) passes[{known, count}].push_back(place);
  }
  for (const auto& [range, places] : passes) {
    std::vector<int64_t> rows;
    for (const auto& [text, candidate] : places) {
      rows.push_back(texts_[text].row_of_candidate[candidate]);
    }
    const int64_t count = range.second - range.first;
    const at::Tensor tokens = Decode(rows, range.first, count);
    const int64_t* learnt = tokens.const_data_ptr<int64_t>();
    for (const auto& [text, candidate] : places) {
      texts_[text].candidates.Learn(candidate, {learnt, static_cast<size_t>(count)});
      learnt += count;
    }
  }
}

Tokens LatentDraws::DecodeFirst(int64_t text) {
  const int64_t chunk_size = model_->chunk_size();
  const at::Tensor tokens = Decode({texts_[text].first_row}, 0, chunk_size);
  const int64_t* first = tokens.const_data_ptr<int64_t>();
  return {first, first + chunk_size};
}

}  // namespace halcyon::worker
