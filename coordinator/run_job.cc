#include "coordinator/run_job.h"

#include <algorithm>
#include <filesystem>

#include "base/exit_code.h"
#include "base/logging.h"
#include "base/process_identity.h"
#include "cluster/contact.h"
#include "cluster/curve_keys.h"
#include "cluster/endpoint.h"
#include "cluster/external_launcher.h"
#include "coordinator/checks/early_checks.h"
#include "coordinator/coordinator.h"
#include "coordinator/processes/agent_spawner.h"
#include "coordinator/processes/processes.h"
#include "coordinator/processes/recovery.h"
#include "coordinator/requests.h"
#include "coordinator/stages/latents_rates.h"
#include "coordinator/stages/latents_rule.h"
#include "coordinator/stop_signals.h"
#include "coordinator/submit/allocation.h"
#include "coordinator/submit/submission.h"
#include "jobs/cluster_file.h"
#include "jobs/spec_overrides.h"
#include "storage/sharing.h"

namespace halcyon::coordinator {
namespace {

absl::Status PrepareJobFolder(const JobContext& context) {
  const std::string& id = context.job.value();
  RETURN_IF_ERROR(context.env->CreateDirs(context.home.JobLogs(id)));
  RETURN_IF_ERROR(LogToFile("coordinator", JoinPath(context.home.JobLogs(id), "coordinator.log")));
  SetLogField("job", id);
  return WriteFileAtomically(*context.env, context.home.JobSpec(id), jobs::ToToml(context.spec));
}

// A run by hand is recorded, so that `halcyon resume` can repeat it.
absl::Status BeginSubmission(const JobContext& context, const RunOptions& options) {
  const std::string& id = context.job.value();
  RETURN_IF_ERROR(RemoveOldRequests(*context.env, context.home, id, options.submission));
  if (!options.submission.empty()) return absl::OkStatus();
  const int64_t now_ms = context.clock->WallMs();
  return WriteSubmission(*context.env, context.home,
                         {.id = NewSubmissionId(now_ms),
                          .launcher = Launcher::kForeground,
                          .job_id = id,
                          .name = context.spec.name,
                          .spec_path = context.spec_path,
                          .set = options.set,
                          .until = options.until,
                          .submitted_ms = now_ms,
                          .host = HostName()});
}

// Opens the coordinator's endpoint, and tells the workers in contact.json where it is.
absl::StatusOr<std::unique_ptr<cluster::ServerTransport>> Listen(const JobContext& context) {
  const std::string folder = context.home.Job(context.job.value());
  cluster::ServerOptions options;
  ASSIGN_OR_RETURN(options.endpoint,
                   cluster::CoordinatorEndpoint(context.spec.launch, context.allocation, HostName(),
                                                context.home.Socket(context.job.value())));
  ASSIGN_OR_RETURN(const cluster::Endpoint endpoint, cluster::ParseEndpoint(options.endpoint));
  if (endpoint.is_tcp) {
    ASSIGN_OR_RETURN(options.keys, cluster::ReadOrMakeCurveKeys(cluster::CurveFile(folder)));
  }
  ASSIGN_OR_RETURN(auto transport, cluster::BindZmq(options));
  RETURN_IF_ERROR(cluster::WriteContact(cluster::ContactFile(folder),
                                        {context.incarnation, transport->endpoint(),
                                         options.keys ? options.keys->server.public_key : ""}));
  return transport;
}

std::unique_ptr<cluster::GangLauncher> MakeLauncher(const JobContext& context) {
  const jobs::LaunchSpec& launch = context.spec.launch;
  if (launch.placement.launcher != jobs::LauncherKind::kExternal) {
    return cluster::MakeGangLauncher(launch.placement, context.allocation);
  }
  return cluster::MakeExternalLauncher(*context.env, *context.clock,
                                       context.home.Job(context.job.value()),
                                       static_cast<size_t>(launch.ranks));
}

// Ends what the job's earlier coordinator has left, but for the gangs and agents that may be
// adopted, and removes what nobody finishes.
absl::Status TakeOver(JobContext* context, std::vector<std::string>* notes) {
  storage::JobJournal& journal = *context->journal;
  const bool may_adopt = context->spec.launch.orphan_grace_s > 0 && !context->from_scratch;
  SparedWorkers spared;
  storage::JobHistory adoptable = journal.history(), others = adoptable;
  const auto is_adopted = [&](const auto& gang) {
    const auto kind = jobs::StageFromName(gang.first);
    return may_adopt && kind.ok() && Makes(*context, *kind);
  };
  std::erase_if(adoptable.gangs, [&](const auto& gang) { return !is_adopted(gang); });
  std::erase_if(others.gangs, is_adopted);
  spared.gangs = FindEarlierGangs(adoptable, *context->gang_launcher);
  EndEarlierGangs(others, *context->gang_launcher);
  spared.agents = TakeEarlierAgents(
      journal.history(), may_adopt ? OriginOfAgents(context->worker_program, context->spec) : "",
      *context->gang_launcher);
  RETURN_IF_ERROR(EndOldWorkers(*context->env, *context->clock, context->home, context->job.value(),
                                context->incarnation, journal.history(), spared));
  // Until they are adopted the journal goes on naming them.
  if (spared.empty()) RETURN_IF_ERROR(journal.ForgetProcesses());
  context->earlier_gangs = std::move(spared.gangs);
  context->earlier_agents = std::move(spared.agents);
  ASSIGN_OR_RETURN(const std::vector<std::string> repaired,
                   ArtifactStore(*context->env, context->home).Repair(*context->clock));
  notes->insert(notes->end(), repaired.begin(), repaired.end());
  return absl::OkStatus();
}

// What the operator's cluster.toml says, put in where the job says nothing.
absl::StatusOr<jobs::ClusterFile> LoadOperatorsDefaults(JobContext* context) {
  ASSIGN_OR_RETURN(jobs::ClusterFile cluster, jobs::LoadClusterFile(context->home.root));
  std::string& copy_caches_to = context->spec.launch.copy_caches_to;
  if (copy_caches_to.empty()) copy_caches_to = cluster.copy_caches_to;
  return cluster;
}

}  // namespace

std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

absl::Status SettleLatentsOf(JobContext* context,
                             const std::function<void(const std::string&)>& notify) {
  const std::string folder = context->home.Job(context->job.value());
  const LatentsMachine machine = {context->free_room,
                                  [context, folder](const jobs::LatentsFacts& facts) {
                                    return MeasureLatentsRates(context->worker_program, folder,
                                                               context->spec, facts);
                                  },
                                  AgentCount(context->spec, context->allocation)};
  // A machine that only makes data need not be like the one that trains.
  const bool may_decide = context->until.empty() || Makes(*context, jobs::StageKind::kLatents);
  return SettleLatents(*context->env, context->home.root, folder, may_decide ? &machine : nullptr,
                       notify, &context->spec);
}

absl::StatusOr<FinishedJob> RunJob(const std::string& spec_path, const std::string& home_flag,
                                   const RunOptions& options, JobObserver* observer) {
  JobContext context;
  context.remake_damaged = options.remake_damaged;
  context.from_scratch = options.from_scratch;
  context.spec_path = AbsolutePath(spec_path);
  ASSIGN_OR_RETURN(const auto overrides, jobs::ParseOverrides(options.set));
  ASSIGN_OR_RETURN(context.spec, jobs::LoadJobSpec(spec_path, overrides));
  ASSIGN_OR_RETURN(context.worker_program, cluster::WorkerProgram());
  ASSIGN_OR_RETURN(
      context.allocation,
      cluster::FindAllocation(context.spec.launch, cluster::Surroundings::OfThisProcess()));
  context.job = JobIdOf(context.spec.name, context.spec_path);
  const auto notify = [observer](const std::string& line) { observer->Notify(line); };
  context.memory_limit = FindMemoryLimit();
  context.until = options.until;
  ASSIGN_OR_RETURN(const auto stages, StagesToMake(context.spec, context.until));
  ASSIGN_OR_RETURN(const std::vector<std::string> warnings,
                   WarningsOf(context.spec, stages, context.memory_limit));
  for (const std::string& warning : warnings) notify("warning: " + warning);
  context.env = Env::Posix();
  context.clock = Clock::Real();
  ASSIGN_OR_RETURN(const std::string root, storage::ChooseHome(home_flag));
  ASSIGN_OR_RETURN(context.home, storage::OpenHome(root));
  RETURN_IF_ERROR(storage::OwnJobFolder(*context.env, context.home, context.job.value()));
  ASSIGN_OR_RETURN(const OwnedJob owned,
                   OwnJob(*context.env, context.home, context.job.value(), *context.clock, notify));
  CountStopSignals();

  LeaseKeeper leases;
  leases.Keep(owned.lease, LeaseOf::kJob);
  leases.StartThread();
  context.leases = &leases;
  context.incarnation = owned.incarnation();
  context.owner_before = owned.before;
  context.observer = observer;
  ASSIGN_OR_RETURN(const jobs::ClusterFile cluster, LoadOperatorsDefaults(&context));
  RETURN_IF_ERROR(SettleLatentsOf(&context, notify));
  // Settled, the job may have none.
  RETURN_IF_ERROR(StagesToMake(context.spec, context.until).status());
  RETURN_IF_ERROR(PrepareJobFolder(context));
  RETURN_IF_ERROR(BeginSubmission(context, options));
  const RequestWatcher requests(context.env, context.home, context.job.value());
  context.stop_requests = [&requests] { return std::max(StopSignals(), requests.stops()); };
  const AllocationWatcher allocation(cluster.commands);
  context.ends_at_ms = [&allocation] { return allocation.end_ms(); };
  context.cancelled = [&requests] { return requests.cancelled(); };
  std::vector<std::string> notes;
  ASSIGN_OR_RETURN(const auto journal, storage::JobJournal::Begin(
                                           *context.env, context.home.Journal(context.job.value()),
                                           context.incarnation.value(), &notes));
  context.journal = journal.get();
  const auto gang_launcher = MakeLauncher(context);
  context.gang_launcher = gang_launcher.get();
  ASSIGN_OR_RETURN(const auto transport, Listen(context));
  context.transport = transport.get();
  RETURN_IF_ERROR(TakeOver(&context, &notes));
  std::for_each(notes.begin(), notes.end(), notify);
  ProcessAgentSpawner agent_spawner(&context);
  context.agent_spawner = &agent_spawner;
  Coordinator coordinator(&context);
  coordinator.StartThreads();
  auto artifacts = coordinator.Run();
  // What another coordinator has taken over goes on.
  if (!context.leases->has_lost_job()) {
    gang_launcher->JobEnded(static_cast<int>(ExitCodeOf(artifacts.status())));
  }
  const absl::Status removed =
      RemoveOldRequests(*context.env, context.home, context.job.value(), "");
  RETURN_IF_ERROR(artifacts.status());
  RETURN_IF_ERROR(removed);
  return FinishedJob{coordinator.status(), context.spec, context.home, *std::move(artifacts)};
}

}  // namespace halcyon::coordinator
