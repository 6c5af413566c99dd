// How many decisions a job's coordinator makes a second, and what a task costs in memory: a real
// JobRun (coordinator/run/) with 10,000 agents that exist only as their messages, for jobs of 1,000
// to 1,000,000 tasks. A decision is a lease or the completion of a task; time is this thread's
// processor time. Sockets and files are not in the figures: a decision writes nothing (a fence is
// the stage's claim and a number, and the ingest of a result is its commit), so the journal has a
// record for each change of a stage's state and none for a task. bench/storage_bench.cc has what
// both cost.
#include <fmt/format.h>
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "cluster/transport.h"
#include "coordinator/run/job_run.h"
#include "coordinator/worker_channel.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kAgents = 10'000;
constexpr size_t kTasks[] = {1'000, 10'000, 100'000, 1'000'000};
// Rounds of the smaller jobs, so that each is measured over about as many decisions.
constexpr size_t kDecisionsMin = 200'000;

size_t BytesInUse() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// As coordinator/stages/cache_stage.cc plans the shards of a text.
nlohmann::json ParametersOf(size_t shard) {
  return {{"shard",
           {{"shard", shard},
            {"path", "/shared/data/corpus/part-00042.jsonl"},
            {"begin", shard * 67'108'864},
            {"end", (shard + 1) * 67'108'864},
            {"xxh3", 0x9E3779B97F4A7C15 * (shard + 1)}}}};
}

struct Figures {
  size_t messages = 0, decisions = 0;
  double seconds = 0;
  size_t bytes = 0;  // that preparing the stage added
};

// One job whose tokens are the only stage that is not there yet. Drives it to the end of that
// stage.
class Driver {
 public:
  explicit Driver(size_t tasks)
      : run_(jobs::StageGraph(std::vector<jobs::JobSpec>{Spec()}),
             {.agents = kAgents, .ranks = 1, .restarts_max = 2}),
        tasks_(tasks) {}

  Figures Run() {
    Execute(run_.Start());
    Drain();  // up to the agents' first messages
    for (const WorkerId& agent : agents_) {
      Enqueue(agent, cluster::Hello{"agent", "", 0, 1, 0, ""});
    }
    Drain();
    const int64_t began_us = ThreadCpuUs();
    figures_.messages = 0;
    for (const WorkerId& agent : agents_) Enqueue(agent, cluster::Ready{});
    Drain();
    figures_.seconds = static_cast<double>(ThreadCpuUs() - began_us) / 1e6;
    HALCYON_CHECK(installed_ && figures_.decisions == 2 * tasks_);
    return figures_;
  }

 private:
  static jobs::JobSpec Spec() {
    jobs::JobSpec spec;
    spec.name = "scale";
    spec.data.sources = {"/shared/data/corpus"};
    return spec;
  }

  void Enqueue(const WorkerId& worker, cluster::Body body) {
    cluster::Message message;
    message.worker = worker;
    message.body = std::move(body);
    events_.push_back(event::Received{std::move(message)});
  }
  void Drain() {
    while (!events_.empty()) {
      const Event event = std::move(events_.front());
      events_.pop_front();
      if (std::holds_alternative<event::Received>(event)) ++figures_.messages;
      Execute(run_.On(event, Clock::Real()->MonotonicMs()));
    }
  }
  void Execute(const Effects& effects) {
    for (const Effect& effect : effects) {
      std::visit([this](const auto& one) { Do(one); }, effect);
    }
  }

  void Do(const effect::CheckJob&) { events_.push_back(event::JobChecked{}); }
  void Do(const effect::FindStage& find) {
    const bool is_tokens = run_.graph().node(find.stage).kind == jobs::StageKind::kTokens;
    const std::string fingerprint = run_.graph().node(find.stage).key;
    events_.push_back(event::StageFound{
        find.stage, FoundStage{.fingerprint = fingerprint, .is_made = !is_tokens, .claim = 1}});
  }
  void Do(const effect::PrepareStage& prepare) {
    const size_t before = BytesInUse();
    PreparedStage prepared;
    prepared.assignment.stage = "tokens";
    prepared.assignment.fingerprint = run_.graph().node(prepare.stage).key;
    prepared.assignment.spec_path = "/shared/halcyon/jobs/scale-3f2a91c0/job.toml";
    prepared.assignment.work_dir = "/shared/halcyon/work/tokens-0123456789abcdef";
    prepared.assignment.input_paths["tokenizer"] = "/shared/halcyon/artifacts/tokenizer/0123";
    prepared.assignment.input_digests["tokenizer"] = std::string(64, 'd');
    for (size_t i = 0; i < tasks_; ++i) {
      prepared.tasks.Add("tokens/" + std::to_string(i), ParametersOf(i));
    }
    const Event event = event::StagePrepared{prepare.stage, std::move(prepared)};
    Execute(run_.On(event, Clock::Real()->MonotonicMs()));
    figures_.bytes = BytesInUse() - before;
  }
  void Do(const effect::StartAgent& start) { agents_.push_back(start.agent); }
  void Do(const effect::Send& send) {
    const auto* lease = std::get_if<cluster::Lease>(&send.body);
    if (lease == nullptr) return;
    ++figures_.decisions;
    Enqueue(send.worker, cluster::TaskProgress{lease->task, lease->fence, 0.5});
    Enqueue(send.worker, cluster::TaskDone{lease->task, lease->fence, {}});
    Enqueue(send.worker, cluster::Ready{lease->fence});
  }
  void Do(const effect::Ingest& ingest) {
    ++figures_.decisions;
    events_.push_back(event::Ingested{ingest.stage, ingest.fence, absl::OkStatus()});
  }
  void Do(const effect::Install&) { installed_ = true; }
  template <typename Other>
  void Do(const Other&) {}

  JobRun run_;
  size_t tasks_;
  std::vector<WorkerId> agents_;
  std::deque<Event> events_;
  Figures figures_;
  bool installed_ = false;
};

void Report(size_t tasks) {
  Figures sum;
  while (sum.decisions < kDecisionsMin) {
    const Figures one = Driver(tasks).Run();
    sum.messages += one.messages;
    sum.decisions += one.decisions;
    sum.seconds += one.seconds;
    sum.bytes = one.bytes;
  }
  fmt::print("{:>9} {:>15.0f} {:>13.2f} {:>13}\n", tasks,
             static_cast<double>(sum.decisions) / sum.seconds,
             sum.seconds * 1e6 / static_cast<double>(sum.messages), sum.bytes / tasks);
  std::fflush(stdout);
}

// A second of a WorkerChannel whose workers are healthy: a heartbeat of each, and one to each,
// which is encoded as for a socket.
class AgentsBeating final : public cluster::ServerTransport {
 public:
  explicit AgentsBeating(int64_t agents) : agents_(agents) {}
  absl::Status Send(const cluster::Message& message) override {
    bytes_ += cluster::Encode(message).size();
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<cluster::Message>> Receive(int64_t) override {
    if (next_ == agents_) return std::nullopt;
    const std::string name = "agent-" + std::to_string(next_++);
    cluster::Message message;
    message.job = JobId("scale");
    message.worker = {name, 1};
    message.incarnation = Incarnation(1);
    message.body = cluster::Alive{{"tokens/3"}};
    return message;
  }
  const std::string& endpoint() const override { return endpoint_; }
  void BeatAgain() { next_ = 0; }
  uint64_t bytes() const { return bytes_; }

 private:
  int64_t agents_, next_ = 0;
  uint64_t bytes_ = 0;
  std::string endpoint_ = "none";
};

void ReportChannel(int64_t agents) {
  constexpr int kSeconds = 10;
  // Of the coordinator's event loop.
  constexpr int64_t kLookMs = 50;
  AgentsBeating transport(agents);
  SimulatedClock clock;
  WorkerChannel channel(&transport, &clock, JobId("scale"), Incarnation(1));
  const auto pass = [&](int64_t duration_ms) {
    for (const int64_t end_ms = clock.MonotonicMs() + duration_ms; clock.MonotonicMs() < end_ms;) {
      for (int64_t turn = 0; turn <= agents / kLookMs; ++turn) HALCYON_CHECK(channel.Next(0).ok());
      HALCYON_CHECK(channel.Suspects().empty());
      clock.AdvanceMs(kLookMs);
    }
  };
  pass(1000);
  const int64_t began_us = ThreadCpuUs();
  for (int second = 0; second < kSeconds; ++second) {
    transport.BeatAgain();
    pass(1000);
  }
  const double share = static_cast<double>(ThreadCpuUs() - began_us) / 1e6 / kSeconds;
  fmt::print("heartbeats of {} workers both ways: {:.1f} % of a core, {} MB sent\n", agents,
             100 * share, transport.bytes() >> 20);
}

}  // namespace
}  // namespace halcyon::coordinator

int main() {
  using namespace halcyon;
  fmt::print("{} agents; a decision is a lease or a completion\n", coordinator::kAgents);
  fmt::print("{:>9} {:>15} {:>13} {:>13}\n", "tasks", "decisions/s", "us a message",
             "bytes a task");
  for (const size_t tasks : coordinator::kTasks) coordinator::Report(tasks);
  coordinator::ReportChannel(1'000);
  coordinator::ReportChannel(coordinator::kAgents);
}
