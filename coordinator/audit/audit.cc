#include "coordinator/audit/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "pipeline/samples/sample_digest.h"

namespace halcyon::coordinator {
namespace {

using pipeline::ItemInstead;
using pipeline::OnlyDifferentPlace;
using pipeline::SampleDigest;
using storage::Digest128;
using storage::Hex128;
using storage::LineagePart;
using storage::PlaceSums;
using storage::SampleLaunch;
using storage::StepSamples;

// Among which the item that was used in place of another is looked for: some tenths of a second.
constexpr uint64_t kSearchedItemsMax = uint64_t{1} << 24;

// By their places in the step.
std::vector<uint64_t> ItemsOf(const AuditInput& input, uint64_t step) {
  std::vector<uint64_t> items;
  for (uint64_t place = 0; place < input.batch; ++place) {
    items.push_back(input.order->ItemAt((step - 1) * input.batch + place));
  }
  return items;
}

absl::StatusOr<SampleDigest> DigestOfItems(const AuditInput& input, uint64_t step,
                                           const std::vector<uint64_t>& items) {
  SampleDigest digest;
  for (uint64_t place = 0; place < items.size(); ++place) {
    digest.Add(step - 1, place, items[place]);
    if (!input.ids_of) continue;
    ASSIGN_OR_RETURN(const std::string ids, input.ids_of(items[place]));
    digest.AddText(step - 1, place, ids);
    if (!input.latents_of) continue;
    ASSIGN_OR_RETURN(const ItemLatents latents, input.latents_of(items[place]));
    digest.AddLatents(step - 1, place, latents.means, latents.log_stds);
  }
  return digest;
}

// How often each item was used.
class UseCounter {
 public:
  explicit UseCounter(const pipeline::MixtureOrder& order) : parts_(order.parts()) {
    for (const pipeline::MixturePart& part : parts_) uses_.emplace_back(part.items, 0);
  }

  void Count(uint64_t item) {
    for (size_t i = 0; i < parts_.size(); ++i) {
      const uint64_t at = item - parts_[i].begin;
      if (item >= parts_[i].begin && at < parts_[i].items) ++uses_[i][at];
    }
  }

  std::vector<SourceUse> Sources() const {
    std::vector<SourceUse> sources;
    for (size_t i = 0; i < parts_.size(); ++i) {
      SourceUse use{parts_[i].name, 0, parts_[i].items};
      const auto [least, most] = std::ranges::minmax(uses_[i]);
      for (const uint32_t uses : uses_[i]) use.samples += uses;
      use.least = least;
      use.most = most;
      sources.push_back(use);
    }
    return sources;
  }

 private:
  const std::vector<pipeline::MixturePart>& parts_;
  std::vector<std::vector<uint32_t>> uses_;
};

class Auditor {
 public:
  Auditor(const AuditInput& input, uint64_t first, uint64_t last)
      : input_(input),
        first_(first),
        last_(last),
        lineage_(LineageOf(*input.history, input.writer, input.steps, input.log_format)) {
    if (first == 1 && last == input.steps) uses_.emplace(*input.order);
  }

  absl::StatusOr<AuditReport> Run() {
    report_.first = first_;
    report_.last = last_;
    report_.unrecorded = lineage_.unrecorded;
    if (lineage_.lost && first_ <= lineage_.unrecorded) {
      AddFault(lineage_.unrecorded, fmt::format("steps 1 to {}: the record of {} is gone",
                                                lineage_.unrecorded, lineage_.lost->ToString()));
    }
    for (LineagePart part : lineage_.parts) {
      part.first = std::max(part.first, first_);
      part.last = std::min(part.last, last_);
      if (part.first <= part.last) RETURN_IF_ERROR(CheckPart(part));
    }
    FindRedone();
    if (uses_) report_.sources = uses_->Sources();
    if (report_.fault_count > 0) {
      for (const std::string& damage : input_.history->damage) AddFault(0, damage);
      report_.verdict = AuditVerdict::kFails;
    } else if (first_ <= report_.unrecorded) {
      report_.verdict = AuditVerdict::kUnrecorded;
    }
    return std::move(report_);
  }

 private:
  void AddFault(uint64_t step, std::string what) {
    ++report_.fault_count;
    if (report_.faults.size() < kAuditFaultsMax) report_.faults.push_back({step, std::move(what)});
  }

  absl::Status CheckPart(const LineagePart& part) {
    const SampleLaunch& launch = *part.launch;
    report_.launches.push_back({launch.writer, launch.ranks, part.first, part.last});
    std::vector<const StepSamples*> lines(part.last - part.first + 1, nullptr);
    for (const StepSamples& line : launch.steps) {
      if (line.step < part.first || line.step > part.last) continue;
      const StepSamples*& place = lines[line.step - part.first];
      if (place != nullptr) {
        AddFault(line.step, fmt::format("step {}: stands twice in the record of {}", line.step,
                                        launch.writer.ToString()));
      }
      place = &line;
    }
    for (uint64_t step = part.first; step <= part.last; ++step) {
      const StepSamples* line = lines[step - part.first];
      if (line == nullptr) {
        AddFault(step, fmt::format("step {}: is not in the record of {}, which made it", step,
                                   launch.writer.ToString()));
        continue;
      }
      RETURN_IF_ERROR(CheckStep(launch, *line));
    }
    return absl::OkStatus();
  }

  absl::Status CheckStep(const SampleLaunch& launch, const StepSamples& line) {
    const std::vector<uint64_t> items = ItemsOf(input_, line.step);
    ASSIGN_OR_RETURN(const SampleDigest expected, DigestOfItems(input_, line.step, items));
    const std::string who =
        fmt::format("the record of {} ({} ranks)", launch.writer.ToString(), launch.ranks);
    const auto fault_of = [&](const char* what, const Digest128& right, const Digest128& found,
                              Digest128 PlaceSums::*kind) {
      AddFault(line.step, fmt::format("step {}: expected {} with digest {}; {} says {}{}",
                                      line.step, what, Hex128(right), who, Hex128(found),
                                      OtherContents(line, {right, expected.by_place().*kind}, found,
                                                    kind, what, items)));
    };
    if (expected.samples() != line.samples || expected.items() != line.items) {
      AddFault(line.step,
               fmt::format("step {}: expected {} samples with digest {}; {} says {} with digest "
                           "{}{}",
                           line.step, expected.samples(), Hex128(expected.items()), who,
                           line.samples, Hex128(line.items), Guess(line, expected, items)));
    } else if (input_.ids_of && expected.text() != line.text) {
      fault_of("text", expected.text(), line.text, &PlaceSums::text);
    } else if (line.latents && expected.latents() && expected.latents() != line.latents) {
      fault_of("latents", *expected.latents(), *line.latents, &PlaceSums::latents);
    } else {
      report_.samples += items.size();
      if (line.latents && expected.latents()) report_.with_latents += items.size();
      for (const uint64_t item : items) {
        if (uses_) uses_->Count(item);
      }
    }
    return absl::OkStatus();
  }

  std::string NameOf(uint64_t step, uint64_t place, const std::vector<uint64_t>& items) const {
    return fmt::format("sample {} (item {})", (step - 1) * input_.batch + place, items[place]);
  }

  // Of which sample something else was loaded than its item has, as far as the record tells.
  std::string OtherContents(const StepSamples& line, const pipeline::SumAndByPlace& expected,
                            const Digest128& found, Digest128 PlaceSums::*kind, const char* what,
                            const std::vector<uint64_t>& items) const {
    if (!line.by_place) return "";
    const auto place = OnlyDifferentPlace(expected, {found, *line.by_place.*kind}, items.size());
    if (!place) return ": several samples are not as they should be";
    return fmt::format(": other {} than its own for {}", what, NameOf(line.step, *place, items));
  }

  // Which single mistake would give the recorded digest; "" when none does.
  std::string Guess(const StepSamples& line, const SampleDigest& expected,
                    const std::vector<uint64_t>& items) const {
    for (uint64_t place = 0; place < items.size(); ++place) {
      const auto with_it = [&](SampleDigest digest) {
        digest.Add(line.step - 1, place, items[place]);
        return digest.items();
      };
      if (with_it({line.samples, line.items, {}}) == expected.items()) {
        return ": " + NameOf(line.step, place, items) + " was left out";
      }
      if (with_it(expected) == line.items) {
        return ": " + NameOf(line.step, place, items) + " was used twice";
      }
    }
    const auto wrong = line.by_place && line.samples == items.size()
                           ? OnlyDifferentPlace({expected.items(), expected.by_place().items},
                                                {line.items, line.by_place->items}, items.size())
                           : std::nullopt;
    if (!wrong) return "";
    const auto other = ItemInstead(line.step - 1, *wrong, items[*wrong], expected.items(),
                                   line.items, std::min(ItemsEnd(), kSearchedItemsMax));
    const std::string in_place_of = " in place of " + NameOf(line.step, *wrong, items);
    return (other ? fmt::format(": item {} was used", *other) : ": another was used") + in_place_of;
  }

  uint64_t ItemsEnd() const {
    uint64_t end = 0;
    for (const pipeline::MixturePart& part : input_.order->parts()) {
      end = std::max(end, part.begin + part.items);
    }
    return end;
  }

  bool IsInWeights(const SampleLaunch& launch, uint64_t step) const {
    return std::ranges::any_of(lineage_.parts, [&](const LineagePart& part) {
      return part.launch == &launch && part.first <= step && step <= part.last;
    });
  }

  // Steps after the weights' last one have not been made again yet.
  void FindRedone() {
    for (const SampleLaunch& launch : input_.history->launches) {
      std::optional<LaunchSteps> redone;
      for (const StepSamples& line : launch.steps) {
        if (line.step < first_ || line.step > last_ || IsInWeights(launch, line.step)) continue;
        if (!redone) redone = LaunchSteps{launch.writer, launch.ranks, line.step, line.step};
        redone->last = std::max(redone->last, line.step);
      }
      if (redone) report_.redone.push_back(*redone);
    }
  }

  const AuditInput& input_;
  const uint64_t first_, last_;
  const storage::SampleLineage lineage_;
  std::optional<UseCounter> uses_;
  AuditReport report_;
};

}  // namespace

absl::StatusOr<AuditReport> Audit(const AuditInput& input, uint64_t first, uint64_t last) {
  return Auditor(input, first, last).Run();
}

}  // namespace halcyon::coordinator
