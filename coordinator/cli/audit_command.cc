#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "coordinator/audit/audit_text.h"
#include "coordinator/audit/stage_record.h"
#include "coordinator/audit/training_text.h"
#include "coordinator/cli/choice_option.h"
#include "coordinator/cli/commands.h"

namespace halcyon::coordinator {
namespace {

struct AuditArguments {
  std::string job, stage;
  uint64_t step = 0;  // 0: all
  bool text = false, json = false;
};

// A stage with its record, or why there is none.
struct AuditedStage {
  std::string name;
  absl::StatusOr<StageRecord> record;
};

std::vector<AuditedStage> StagesToAudit(const AuditArguments& arguments,
                                        const storage::HomeLayout& home, const JobStatus& job) {
  std::vector<AuditedStage> stages;
  for (const StageStatus& stage : job.stages) {
    const std::string name(jobs::StageName(stage.kind));
    if (jobs::ShapeOf(stage.kind) != jobs::StageShape::kGang) continue;
    if (!arguments.stage.empty() && arguments.stage != name) continue;
    stages.push_back({name, ReadStageRecord(*Env::Posix(), home, stage)});
  }
  return stages;
}

// The step's samples; as a step of the record is.
absl::StatusOr<std::vector<ListedSample>> SamplesOf(const TrainingText& text, uint64_t step) {
  std::vector<ListedSample> samples;
  for (uint64_t place = 0; place < text.batch(); ++place) {
    ListedSample one{.sample = (step - 1) * text.batch() + place};
    one.item = text.order().ItemAt(one.sample);
    ASSIGN_OR_RETURN(one.place, text.PlaceOf(one.item));
    samples.push_back(std::move(one));
  }
  return samples;
}

// What a stage's audit printed, and what it means for the exit code.
struct AuditOutcome {
  nlohmann::json json;
  absl::Status status = {};
};

nlohmann::json WithoutAudit(const std::string& stage, const std::string& verdict,
                            const std::string& why) {
  return {{"stage", stage}, {"verdict", verdict}, {"why", why}};
}

absl::StatusOr<AuditOutcome> AuditOne(const AuditArguments& arguments,
                                      const storage::ArtifactScan& scan, const std::string& name,
                                      const StageRecord& record) {
  if (!record.missing.empty()) {
    const std::string why = name + ": not known: " + record.missing;
    if (!arguments.json) PrintText(why + "\n");
    return AuditOutcome{
        WithoutAudit(name, AuditVerdictName(AuditVerdict::kUnrecorded), record.missing),
        NotFound(why)};
  }
  if (arguments.step > record.steps) {
    return InvalidArgument(fmt::format("--step {}: the {} has {} steps{}", arguments.step, name,
                                       record.steps,
                                       record.finished ? "" : " that are committed so far"));
  }
  ASSIGN_OR_RETURN(const auto text, TrainingText::Open(*Env::Posix(), scan, record));
  AuditInput input{.order = &text->order(),
                   .batch = text->batch(),
                   .steps = record.steps,
                   .history = &record.history,
                   .writer = record.writer,
                   .log_format = record.log_format};
  const bool one_step = arguments.step > 0;
  if (arguments.text || one_step) {
    input.ids_of = [&](uint64_t item) { return text->IdsOf(item); };
    const absl::Status latents = text->OpenLatents(*Env::Posix(), scan, record);
    if (latents.ok()) input.latents_of = [&](uint64_t item) { return text->LatentsOf(item); };
    if (!latents.ok() && !absl::IsNotFound(latents)) return latents;
  }
  ASSIGN_OR_RETURN(const AuditReport report, Audit(input, one_step ? arguments.step : 1,
                                                   one_step ? arguments.step : record.steps));
  const AuditSubject subject{name, record.kind, record.finished, input.batch,
                             static_cast<bool>(input.ids_of)};
  AuditOutcome outcome{.json = ToJson(subject, report)};
  std::string printed = AuditText(subject, report);
  if (one_step) {
    ASSIGN_OR_RETURN(const auto samples, SamplesOf(*text, arguments.step));
    outcome.json["step_samples"] = ToJson(subject, samples);
    printed += SamplesText(subject, samples);
  }
  if (!arguments.json) PrintText(printed);
  if (report.verdict == AuditVerdict::kFails) {
    outcome.status = FailedPrecondition(name + ": " + report.faults.front().what);
  } else if (report.verdict == AuditVerdict::kUnrecorded) {
    outcome.status = NotFound(
        fmt::format("{}: steps 1 to {} have no record of their samples", name, report.unrecorded));
  }
  return outcome;
}

absl::Status AuditJob(const AuditArguments& arguments, const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(const JobStatus job, FindJob(home, arguments.job, /*done_only=*/false));
  std::vector<AuditedStage> stages = StagesToAudit(arguments, home, job);
  if (stages.empty()) return NotFound("job " + job.job_id + " has no such stage");
  // A step is of one stage: the one that is asked for, else the last that has a record.
  if (arguments.step > 0) {
    while (stages.size() > 1 && !stages.back().record.ok()) stages.pop_back();
    stages.erase(stages.begin(), stages.end() - 1);
  }
  ASSIGN_OR_RETURN(const storage::ArtifactScan scan, storage::ScanArtifacts(*Env::Posix(), home));
  nlohmann::json all = nlohmann::json::array();
  absl::Status worst, nothing_yet;
  bool audited = false;
  for (const AuditedStage& stage : stages) {
    if (absl::IsNotFound(stage.record.status())) {
      nothing_yet = stage.record.status();
      all.push_back(WithoutAudit(stage.name, "nothing", MessageOf(nothing_yet)));
      if (!arguments.json) PrintText(MessageOf(nothing_yet) + "\n");
      continue;
    }
    RETURN_IF_ERROR(stage.record.status(), stage.name);
    ASSIGN_OR_RETURN(AuditOutcome outcome, AuditOne(arguments, scan, stage.name, *stage.record),
                     stage.name);
    audited = true;
    all.push_back(std::move(outcome.json));
    // What does not hold goes before what is not known.
    const bool is_worse = worst.ok() || absl::IsNotFound(worst);
    if (is_worse && !outcome.status.ok()) worst = outcome.status;
  }
  if (arguments.json) PrintJson({{"job", job.job_id}, {"stages", all}});
  return audited ? worst : nothing_yet;
}

}  // namespace

void AddAudit(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<AuditArguments>();
  CLI::App* command = app.add_subcommand(
      "audit",
      "Prove from what the ranks recorded that each sample was used exactly as often as it should "
      "be; exit code 3 when it does not hold");
  command->add_option("job", arguments->job, "The job's id; the last changed job by default");
  const Choices<std::string> stages = {{"autoencoder", "autoencoder"}, {"model", "model"}};
  AddChoice(command, "--stage", &arguments->stage, stages, "By default all that have trained");
  command
      ->add_option("--step", arguments->step,
                   "List the samples of this step (1 is the first), where their text is and how it "
                   "begins; of the last stage that has trained, by default")
      ->check(CLI::PositiveNumber)
      ->default_str("");
  command->add_flag("--text", arguments->text,
                    "Read the text of all samples again, and compare it with what was trained on");
  command->add_flag("--json", arguments->json, "Print as JSON");
  command->callback([=] { line->chosen = [=] { return AuditJob(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
