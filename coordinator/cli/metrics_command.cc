// `halcyon metrics` and `halcyon plot`.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "base/output_file.h"
#include "coordinator/cli/choice_option.h"
#include "coordinator/cli/commands.h"
#include "coordinator/display/progress_view.h"
#include "coordinator/metrics/metrics_follower.h"
#include "coordinator/metrics/metrics_table.h"
#include "coordinator/metrics/plot.h"

namespace halcyon::coordinator {
namespace {

constexpr size_t kRowsShown = 24;
constexpr int kPlotColumns = 80;

struct MetricsArguments {
  std::string job, stage;
  bool csv = false, json = false;
  std::vector<std::string> columns;
  std::string svg;
};

struct JobMetrics {
  std::string job_id, stage, jsonl;
};

// Of the stage that is asked for, else of the last one that has some.
absl::StatusOr<JobMetrics> FindMetrics(const MetricsArguments& arguments,
                                       const std::string& home_flag) {
  ASSIGN_OR_RETURN(const storage::HomeLayout home, LookAtHome(home_flag));
  ASSIGN_OR_RETURN(const JobStatus job, FindJob(home, arguments.job, /*done_only=*/false));
  for (auto stage = job.stages.rbegin(); stage != job.stages.rend(); ++stage) {
    const std::string name(jobs::StageName(stage->kind));
    const bool wanted = arguments.stage.empty()
                            ? jobs::ShapeOf(stage->kind) == jobs::StageShape::kGang
                            : arguments.stage == name;
    if (!wanted || stage->fingerprint.empty()) continue;
    Env& env = *Env::Posix();
    auto jsonl = env.ReadFile(MetricsPath(env, home, *stage));
    if (absl::IsNotFound(jsonl.status())) continue;
    RETURN_IF_ERROR(jsonl.status());
    return JobMetrics{job.job_id, name, *std::move(jsonl)};
  }
  return NotFound("job " + job.job_id + " has no metrics" +
                  (arguments.stage.empty() ? "" : " of stage " + arguments.stage) +
                  " yet: training writes them, step by step");
}

absl::Status Metrics(const MetricsArguments& arguments, const std::string& home) {
  ASSIGN_OR_RETURN(const JobMetrics metrics, FindMetrics(arguments, home));
  if (arguments.json) {
    PrintText(metrics.jsonl);
    return absl::OkStatus();
  }
  const MetricsTable table = ParseMetrics(metrics.jsonl);
  PrintText(arguments.csv ? MetricsCsv(table) : MetricsText(table, kRowsShown));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Curve>> CurvesOf(const MetricsTable& table,
                                            const std::vector<std::string>& asked) {
  std::vector<std::string> columns = asked;
  if (columns.empty()) columns = {"loss", "eval.heldout_loss"};
  std::vector<Curve> curves;
  for (const std::string& column : columns) {
    Curve curve{column, PointsOf(table, column)};
    if (!curve.points.empty()) {
      curves.push_back(std::move(curve));
    } else if (!asked.empty()) {
      return NotFound(fmt::format("no \"{}\" in these metrics; there are {}", column,
                                  fmt::join(table.columns, ", ")));
    }
  }
  if (curves.empty()) return NotFound("no step has been written yet");
  return curves;
}

// Whether the terminal's characters are UTF-8, by the locale's usual variables.
bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string locale(value);
    std::transform(locale.begin(), locale.end(), locale.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  }
  return false;
}

absl::Status Plot(const MetricsArguments& arguments, const std::string& home) {
  ASSIGN_OR_RETURN(const JobMetrics metrics, FindMetrics(arguments, home));
  ASSIGN_OR_RETURN(const std::vector<Curve> curves,
                   CurvesOf(ParseMetrics(metrics.jsonl), arguments.columns));
  const std::string title = metrics.job_id + ", " + metrics.stage;
  if (!arguments.svg.empty()) {
    RETURN_IF_ERROR(WriteOutputFile(arguments.svg, PlotSvg(title, curves)));
    PrintText("wrote " + arguments.svg + "\n");
    return absl::OkStatus();
  }
  PlotSize size;
  const int width = TerminalWidth(stdout);
  size.columns = width > 0 ? width : kPlotColumns;
  PrintText(title + "\n");
  for (const Curve& curve : curves) PrintText(PlotText(curve, size, !LocaleIsUtf8()));
  return absl::OkStatus();
}

void AddJobAndStage(CLI::App* command, MetricsArguments* arguments) {
  command->add_option("job", arguments->job, "The job's id; the last changed job by default");
  const Choices<std::string> stages = {{"autoencoder", "autoencoder"}, {"model", "model"}};
  AddChoice(command, "--stage", &arguments->stage, stages, "By default the last that has metrics");
}

}  // namespace

void AddMetrics(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<MetricsArguments>();
  CLI::App* command = app.add_subcommand(
      "metrics", "Print what training measured: loss, gradient norm, rate, speed, evaluations");
  AddJobAndStage(command, arguments.get());
  auto* csv = command->add_flag("--csv", arguments->csv, "Every step and figure, as CSV");
  command->add_flag("--json", arguments->json, "As it is kept: one JSON object a line")
      ->excludes(csv);
  command->callback([=] { line->chosen = [=] { return Metrics(*arguments, line->home); }; });
}

void AddPlot(CLI::App& app, CommandLine* line) {
  const auto arguments = std::make_shared<MetricsArguments>();
  CLI::App* command = app.add_subcommand("plot", "Draw the curve of a figure over the steps");
  AddJobAndStage(command, arguments.get());
  command
      ->add_option("--metric", arguments->columns,
                   "Name of a figure, as in the first line of `metrics --csv`; may be given "
                   "several times; by default loss and eval.heldout_loss")
      ->default_str("")
      ->allow_extra_args(false);
  command->add_option("--svg", arguments->svg, "Write an SVG file in place of drawing here");
  command->callback([=] { line->chosen = [=] { return Plot(*arguments, line->home); }; });
}

}  // namespace halcyon::coordinator
