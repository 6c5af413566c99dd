#include "coordinator/work/continuation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "coordinator/display/explain.h"

namespace halcyon::coordinator {
namespace {

// "train." of the model, "autoencoder.train." of the autoencoder; "" of a stage without steps.
std::string TrainSection(jobs::StageKind kind) {
  if (kind == jobs::StageKind::kModel) return "train.";
  return kind == jobs::StageKind::kAutoencoder ? "autoencoder.train." : "";
}

std::string ValueOf(const jobs::StageIdentity& identity, const std::string& name) {
  for (const jobs::FingerprintField& field : identity.fields) {
    if (field.name == name) return field.value;
  }
  return "";
}

std::optional<uint64_t> Number(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "866 steps", or of a stage of tasks its name.
std::string AmountOf(const WorkFolder& folder) {
  if (!folder.steps.empty()) return fmt::format("{} steps", folder.steps.back());
  return std::string(jobs::StageName(folder.kind));
}

// Whether it holds progress: checkpoints or shards.
bool HoldsWork(const WorkFolder& folder) { return !folder.steps.empty() || folder.has_shards; }

std::string NoteOfOtherSettings(const WorkFolder& folder,
                                const std::vector<jobs::FieldDifference>& differences) {
  return fmt::format("unfinished: {} with {} are kept in {}, not used, because {} changed",
                     AmountOf(folder), DescribeBefore(differences), folder.path,
                     DescribeNames(differences));
}

class Finder {
 public:
  Finder(const jobs::StageIdentity& identity, const std::vector<WorkFolder>& folders)
      : identity_(identity),
        folders_(folders),
        section_(TrainSection(identity.kind)),
        fingerprint_(identity.Fingerprint()) {}

  Continuation Find() {
    for (const WorkFolder& folder : folders_) {
      if (folder.kind == identity_.kind && IsOwn(folder) && !folder.steps.empty()) {
        found_.own_step = folder.steps.back();
      }
    }
    for (const WorkFolder& folder : folders_) {
      if (folder.kind == identity_.kind && !IsOwn(folder)) Consider(folder);
    }
    std::stable_sort(found_.donors.begin(), found_.donors.end(),
                     [](const Donor& a, const Donor& b) { return a.step > b.step; });
    NoteOthers();
    return std::move(found_);
  }

 private:
  bool IsOwn(const WorkFolder& folder) const {
    return fingerprint_.starts_with(folder.short_fingerprint);
  }

  void Consider(const WorkFolder& folder) {
    if (!HoldsWork(folder)) return;
    if (!folder.made) {
      if (folder.finished) return;
      found_.notes.push_back(fmt::format("unfinished: {} are kept in {}, not used: {}",
                                         AmountOf(folder), folder.path, folder.problem));
      return;
    }
    auto differences = jobs::Differences(folder.made->fields, identity_.fields);
    const bool steps_only =
        differences.size() == 1 && !section_.empty() && differences[0].name == section_ + "steps";
    if (steps_only) {
      ConsiderOtherSteps(folder, differences[0]);
    } else if (!folder.finished) {
      others_.push_back({&folder, std::move(differences)});
    }
  }

  void ConsiderOtherSteps(const WorkFolder& folder, const jobs::FieldDifference& steps) {
    const std::string run = fmt::format("the run with {} = {}", steps.name, steps.before);
    const std::string decay = ValueOf(identity_, section_ + "decay");
    if (decay != "constant") {
      found_.notes.push_back(fmt::format(
          "{} of {} are kept in {}, not used: with {}decay = \"{}\" the learning rate of every "
          "step depends on {}",
          AmountOf(folder), run, folder.path, section_, decay, steps.name));
      return;
    }
    const uint64_t last = Number(steps.after).value_or(0);
    bool usable = false;
    for (const uint64_t step : folder.steps) {
      if (step > last) continue;
      usable = true;
      if (step > found_.own_step) found_.donors.push_back({folder.path, step, run});
    }
    if (usable || folder.steps.empty()) return;
    found_.notes.push_back(
        fmt::format("{} of {} are kept in {}, not used: the earliest checkpoint kept there is of "
                    "step {}, later than {} = {}",
                    AmountOf(folder), run, folder.path, folder.steps.front(), steps.name, last));
  }

  // Unfinished work of other settings: the nearest is described, the rest counted.
  void NoteOthers() {
    if (others_.empty()) return;
    const auto nearest = std::min_element(
        others_.begin(), others_.end(),
        [](const Other& a, const Other& b) { return a.differences.size() < b.differences.size(); });
    std::string note = NoteOfOtherSettings(*nearest->folder, nearest->differences);
    if (others_.size() > 1) {
      note += fmt::format("; {} more unfinished of this stage: see `halcyon cache list`",
                          others_.size() - 1);
    }
    found_.notes.push_back(std::move(note));
  }

  struct Other {
    const WorkFolder* folder;
    std::vector<jobs::FieldDifference> differences;
  };

  const jobs::StageIdentity& identity_;
  const std::vector<WorkFolder>& folders_;
  const std::string section_;
  const std::string fingerprint_;
  Continuation found_;
  std::vector<Other> others_;
};

}  // namespace

Continuation FindContinuation(const jobs::StageIdentity& identity,
                              const std::vector<WorkFolder>& folders) {
  return Finder(identity, folders).Find();
}

std::string Describe(const Donor& donor) {
  return fmt::format("goes on from step {} of {}, kept in {}", donor.step, donor.run,
                     donor.work_dir);
}

}  // namespace halcyon::coordinator
