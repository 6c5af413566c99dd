#include "coordinator/page/prometheus_text.h"

#include <fmt/format.h>

#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

namespace halcyon::coordinator {
namespace {

struct MetricLabel {
  const char* name;
  std::string_view value;
};

// By hand: three lines of text a metric, for which the client library would bring a web server.
class TextWriter {
 public:
  void Begin(const char* name, const char* help) {
    name_ = name;
    text_ += fmt::format("# HELP {} {}\n# TYPE {} gauge\n", name, help, name);
  }
  void Add(std::initializer_list<MetricLabel> labels, double value) {
    text_ += name_;
    const char* separator = "{";
    for (const MetricLabel& label : labels) {
      text_ += fmt::format("{}{}=\"{}\"", separator, label.name, Escaped(label.value));
      separator = ",";
    }
    text_ += fmt::format("}} {}\n", value);
  }
  std::string Take() { return std::move(text_); }

 private:
  static std::string Escaped(std::string_view value) {
    std::string escaped;
    for (const char c : value) {
      if (c == '\n') {
        escaped += "\\n";
        continue;
      }
      if (c == '\\' || c == '"') escaped += '\\';
      escaped += c;
    }
    return escaped;
  }

  std::string name_, text_;
};

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1000; }

// A number of a stage's figures, by the names of the objects that it is in.
std::optional<double> FigureOf(const StageStatus& stage, std::initializer_list<const char*> path) {
  const nlohmann::json* at = &stage.figures;
  for (const char* name : path) {
    if (!at->is_object() || !at->contains(name)) return std::nullopt;
    at = &at->at(name);
  }
  if (!at->is_number()) return std::nullopt;
  return at->get<double>();
}

struct StageMetric {
  const char* name;
  const char* help;
  std::optional<double> (*value)(const StageStatus&);
};

const StageMetric kStageMetrics[] = {
    {"halcyon_stage_fraction", "How far the stage is, 0 to 1.",
     [](const StageStatus& stage) { return std::optional(stage.fraction); }},
    {"halcyon_stage_tasks", "Leased tasks of the stage.",
     [](const StageStatus& stage) -> std::optional<double> {
       if (stage.tasks == 0) return std::nullopt;
       return static_cast<double>(stage.tasks);
     }},
    {"halcyon_stage_tasks_done", "Leased tasks of the stage that are committed.",
     [](const StageStatus& stage) -> std::optional<double> {
       if (stage.tasks == 0) return std::nullopt;
       return static_cast<double>(stage.tasks_done);
     }},
    {"halcyon_stage_steps", "Training steps that the stage is to make.",
     [](const StageStatus& stage) -> std::optional<double> {
       if (stage.steps == 0) return std::nullopt;
       return static_cast<double>(stage.steps);
     }},
    {"halcyon_stage_step", "Training steps done.",
     [](const StageStatus& stage) -> std::optional<double> {
       if (stage.steps == 0) return std::nullopt;
       return static_cast<double>(stage.step);
     }},
    {"halcyon_stage_loss", "Loss of the last step that was reported.",
     [](const StageStatus& stage) { return FigureOf(stage, {"loss"}); }},
    {"halcyon_stage_grad_norm", "Norm of the gradient before clipping.",
     [](const StageStatus& stage) { return FigureOf(stage, {"grad_norm"}); }},
    {"halcyon_stage_tokens_per_second", "Tokens of text a second, over all ranks.",
     [](const StageStatus& stage) { return FigureOf(stage, {"tokens_per_s"}); }},
    {"halcyon_stage_heldout_loss", "Loss on held-out text, of the last evaluation.",
     [](const StageStatus& stage) {
       return FigureOf(stage, {"eval", "heldout_loss"});
     }},
    {"halcyon_stage_brier_lm", "BrierLM of the last evaluation.",
     [](const StageStatus& stage) {
       return FigureOf(stage, {"eval", "brier_lm"});
     }},
};

bool ShowsStages(const JobStatus& job, int64_t now_ms) {
  return job.state == jobs::JobState::kRunning || now_ms - job.updated_ms < kStagesKeptMs;
}

}  // namespace

std::string PrometheusText(const std::vector<JobStatus>& jobs, int64_t now_ms) {
  TextWriter writer;
  writer.Begin("halcyon_job_state", "1 for the state that the job is in.");
  for (const JobStatus& job : jobs) {
    writer.Add({{"job", job.job_id}, {"name", job.name}, {"state", NameOf(job.state)}}, 1);
  }
  writer.Begin("halcyon_job_seconds", "Wall time of all runs of the job together.");
  for (const JobStatus& job : jobs) writer.Add({{"job", job.job_id}}, Seconds(job.TotalMs()));
  writer.Begin("halcyon_job_updated_timestamp_seconds", "When the job's status was written last.");
  for (const JobStatus& job : jobs) writer.Add({{"job", job.job_id}}, Seconds(job.updated_ms));
  writer.Begin("halcyon_stage_state", "1 for the state that the stage is in.");
  for (const JobStatus& job : jobs) {
    if (!ShowsStages(job, now_ms)) continue;
    for (const StageStatus& stage : job.stages) {
      writer.Add({{"job", job.job_id}, {"stage", stage.label}, {"state", NameOf(stage.state)}}, 1);
    }
  }
  for (const StageMetric& metric : kStageMetrics) {
    writer.Begin(metric.name, metric.help);
    for (const JobStatus& job : jobs) {
      if (!ShowsStages(job, now_ms)) continue;
      for (const StageStatus& stage : job.stages) {
        const std::optional<double> value = metric.value(stage);
        if (value) writer.Add({{"job", job.job_id}, {"stage", stage.label}}, *value);
      }
    }
  }
  return writer.Take();
}

}  // namespace halcyon::coordinator
