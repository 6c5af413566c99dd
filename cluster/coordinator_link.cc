#include "cluster/coordinator_link.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>

#include "base/env.h"
#include "base/mutex.h"
#include "cluster/contact.h"
#include "cluster/curve_keys.h"
#include "cluster/pause_detector.h"
#include "cluster/reliable_stream.h"
#include "cluster/restatement.h"

namespace halcyon::cluster {
namespace {

// How long a message that was just queued may wait for the thread, at most.
constexpr int64_t kPollMs = 10;
// Reached only when the coordinator reads nothing; it counts as lost long before.
constexpr size_t kQueuedMax = 10'000;
// With so many messages unacknowledged, progress is not sent: what matters comes behind it.
constexpr size_t kProgressQueuedMax = 256;
// How often an orphan looks for the next coordinator.
constexpr int64_t kFindIntervalMs = 1000;
// Rounds in which the destructor waits for the acknowledgements.
constexpr int kLastRoundsMax = 5000 / kPollMs;

bool IsProgress(const Body& body) {
  return std::holds_alternative<TaskProgress>(body) || std::holds_alternative<TrainProgress>(body);
}

class Link : public CoordinatorLink {
 public:
  Link(std::unique_ptr<ClientTransport> transport, Options options, FindNext find_next,
       Clock* clock)
      : transport_(std::move(transport)),
        options_(std::move(options)),
        find_next_(std::move(find_next)),
        clock_(clock),
        last_message_ms_(clock->MonotonicMs()),
        incarnation_(options_.identity.incarnation),
        thread_([this] { Run(); }) {}

  ~Link() override {
    {
      const MutexLock lock(&mutex_);
      closing_ = true;
    }
    thread_.join();
  }

  absl::Status Send(Body body) override {
    const MutexLock lock(&mutex_);
    const Message message = Addressed(std::move(body));
    if (const size_t bytes = Encode(message).size(); bytes > kMessageBytesMax) {
      return InvalidArgument("a " + std::string(TypeName(message.body)) + " of " +
                             std::to_string(bytes) + " bytes cannot be sent; at most " +
                             std::to_string(kMessageBytesMax) + " can");
    }
    const size_t queued = stream_.unacknowledged();
    if (queued >= kProgressQueuedMax && IsProgress(message.body)) return absl::OkStatus();
    if (queued >= kQueuedMax) {
      spdlog::error("dropped: {}, since {} messages wait for the coordinator",
                    TypeName(message.body), kQueuedMax);
      return absl::OkStatus();
    }
    restatement_.OnSent(message.body);
    stream_.Queue(message.body);
    return absl::OkStatus();
  }

  std::optional<Message> Receive(int64_t timeout_ms) override {
    const MutexLock lock(&mutex_);
    changed_.WaitFor(&mutex_, timeout_ms, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !incoming_.empty() || stop_requested_;
    });
    if (incoming_.empty()) return std::nullopt;
    Message message = std::move(incoming_.front());
    incoming_.pop_front();
    return message;
  }

  bool stop_requested() const override { return stop_requested_; }

  void SetSuperseded(std::function<bool()> is_superseded) override {
    const MutexLock lock(&mutex_);
    is_superseded_ = std::move(is_superseded);
  }
  void SetActivity(std::function<Activity()> activity) override {
    const MutexLock lock(&mutex_);
    activity_ = std::move(activity);
  }

 private:
  void Run() {
    pause_.Turn(last_message_ms_);
    int last_rounds = 0;
    while (true) {
      SendQueued();
      if (closing() && !HasUnacknowledged()) return;
      if (closing() && options_.orphan_grace_ms == 0 && ++last_rounds > kLastRoundsMax) return;
      SendHeartbeat();
      absl::StatusOr<std::optional<Message>> received = transport_->Receive(kPollMs);
      if (!received.ok()) {
        spdlog::error("the connection to the coordinator broke: {}", MessageOf(received.status()));
        return MarkLost();
      }
      if (received->has_value()) Take(**std::move(received));
      if (told_to_end_) return MarkLost();
      // One reading of the clock for both: a pause between two would count as missing messages.
      const int64_t now_ms = clock_->MonotonicMs();
      if (pause_.Turn(now_ms)) {
        spdlog::warn("this process was stopped for a while; the coordinator's timeout starts anew");
        last_message_ms_ = now_ms;
        resumed_ms_ = now_ms;
      }
      const int64_t silent_ms = now_ms - last_message_ms_;
      if (silent_ms >= kHeartbeatTimeoutMs + options_.orphan_grace_ms) {
        spdlog::error("no message from a coordinator for {} ms{}", silent_ms, WhyUnreached());
        return MarkLost();
      }
      if (silent_ms >= kHeartbeatTimeoutMs && !LookForNext(now_ms)) return MarkLost();
    }
  }

  bool closing() {
    const MutexLock lock(&mutex_);
    return closing_;
  }

  // "" once something has come from a coordinator.
  std::string WhyUnreached() const {
    if (was_reached_) return "";
    return ": nothing has ever come from " + options_.endpoint +
           "; either this host does not reach that address (launch.coordinator_address, a "
           "firewall), or the coordinator refuses this worker's keys, as its log says then";
  }

  // Final: nothing more is sent or received.
  void MarkLost() {
    if (!closing()) options_.on_lost();
  }

  // False when the worker has nothing to go on for.
  bool LookForNext(int64_t now_ms) {
    if (looked_ms_ && now_ms - *looked_ms_ < kFindIntervalMs) return true;
    if (!looked_ms_) {
      spdlog::warn("the coordinator {}; this worker goes on for up to {} s without one{}",
                   was_reached_ ? "is gone" : "was never reached", options_.orphan_grace_ms / 1000,
                   WhyUnreached());
    }
    looked_ms_ = now_ms;
    absl::StatusOr<std::optional<Connection>> next = find_next_(incarnation());
    if (!next.ok()) {
      spdlog::warn("cannot reach the next coordinator: {}", MessageOf(next.status()));
    } else if (*next) {
      GoOnWith(**std::move(next));
      return true;
    }
    std::function<bool()> is_superseded;
    {
      const MutexLock lock(&mutex_);
      is_superseded = is_superseded_;
    }
    if (!is_superseded || !is_superseded()) return true;
    spdlog::error("its work is done by a later launch, or by another job");
    return false;
  }

  void GoOnWith(Connection next) {
    spdlog::info("goes on with coordinator incarnation {}", next.incarnation.value());
    {
      const MutexLock lock(&mutex_);
      incarnation_ = next.incarnation;
      const std::vector<Body> bodies = restatement_.Compose(stream_.Unacknowledged());
      stream_ = ReliableStream();
      for (const Body& body : bodies) stream_.Queue(body);
    }
    heartbeat_ms_.reset();
    looked_ms_.reset();
    last_message_ms_ = clock_->MonotonicMs();
    transport_->Abandon();
    transport_ = std::move(next.transport);
  }

  Incarnation incarnation() {
    const MutexLock lock(&mutex_);
    return incarnation_;
  }

  void SendQueued() {
    while (const std::optional<Message> message = FirstDue()) {
      const absl::Status status = transport_->Send(*message);
      if (absl::IsUnavailable(status)) return;  // the next round tries again
      if (!status.ok()) {
        spdlog::error("cannot send a {}: {}", TypeName(message->body), MessageOf(status));
      }
      const MutexLock lock(&mutex_);
      stream_.Sent(clock_->MonotonicMs());  // no other thread changes what is due
    }
  }

  std::optional<Message> FirstDue() {
    const MutexLock lock(&mutex_);
    const ReliableStream::Outgoing* due = stream_.Due();
    if (due == nullptr) return std::nullopt;
    Message message = Addressed(due->body);
    message.sequence = due->sequence;
    message.acknowledged = stream_.received();
    return message;
  }

  bool HasUnacknowledged() {
    const MutexLock lock(&mutex_);
    return stream_.unacknowledged() > 0;
  }

  void SendHeartbeat() {
    const int64_t now_ms = clock_->MonotonicMs();
    if (heartbeat_ms_.has_value() && now_ms - *heartbeat_ms_ < kHeartbeatIntervalMs) return;
    heartbeat_ms_ = now_ms;
    // A lost heartbeat is ignored: the next one follows, or the coordinator's timeout expires.
    transport_->Send(HeartbeatAt(now_ms)).IgnoreError();
  }

  Message HeartbeatAt(int64_t now_ms) {
    const MutexLock lock(&mutex_);
    Activity activity = activity_ ? activity_() : Activity();
    if (resumed_ms_) activity.age_ms = std::min(activity.age_ms, now_ms - *resumed_ms_);
    Message message = Addressed(Alive{std::move(activity)});
    message.acknowledged = stream_.received();
    return message;
  }

  void Take(Message message) {
    const MutexLock lock(&mutex_);
    if (message.incarnation != incarnation_) {
      spdlog::warn("ignored: {} of coordinator incarnation {}; this worker belongs to {}",
                   TypeName(message.body), message.incarnation.value(), incarnation_.value());
      return;
    }
    last_message_ms_ = clock_->MonotonicMs();
    was_reached_ = true;
    looked_ms_.reset();
    if (!stream_.Accept(message, last_message_ms_)) return;
    if (std::holds_alternative<CoordinatorAlive>(message.body)) return;
    if (const auto* stop = std::get_if<Stop>(&message.body)) {
      stop_requested_ = true;
      told_to_end_ = stop->end_now;
      if (stop->end_now) spdlog::error("told to end at once: {}", stop->reason);
    } else if ((std::holds_alternative<Welcome>(message.body) ||
                std::holds_alternative<Lease>(message.body)) &&
               incoming_.size() < kQueuedMax) {
      restatement_.OnReceived(message.body);
      incoming_.push_back(std::move(message));
    } else {
      spdlog::warn("dropped: {} from the coordinator", TypeName(message.body));
    }
    changed_.NotifyAll();
  }

  Message Addressed(Body body) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return {options_.identity.job, options_.identity.worker, incarnation_, std::move(body)};
  }

  std::unique_ptr<ClientTransport> transport_;  // used by the thread alone
  const Options options_;
  const FindNext find_next_;  // used by the thread alone
  Clock* const clock_;
  int64_t last_message_ms_;              // of the thread
  std::optional<int64_t> heartbeat_ms_;  // of the thread
  std::optional<int64_t> resumed_ms_;    // of the thread: when this process was last found stopped
  std::optional<int64_t> looked_ms_;     // of the thread: for the next coordinator, as an orphan
  PauseDetector pause_;                  // of the thread
  bool told_to_end_ = false;             // of the thread
  bool was_reached_ = false;             // of the thread: by a message of a coordinator
  std::atomic<bool> stop_requested_ = false;

  Mutex mutex_;
  ConditionVariable changed_;
  Incarnation incarnation_ ABSL_GUARDED_BY(mutex_);  // of the coordinator that is spoken to
  std::function<bool()> is_superseded_ ABSL_GUARDED_BY(mutex_);
  Restatement restatement_ ABSL_GUARDED_BY(mutex_);
  ReliableStream stream_ ABSL_GUARDED_BY(mutex_);
  std::deque<Message> incoming_ ABSL_GUARDED_BY(mutex_);
  std::function<Activity()> activity_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;  // last: it uses all the others
};

absl::StatusOr<std::unique_ptr<ClientTransport>> ConnectTo(const Contact& contact,
                                                           const WorkerId& self,
                                                           const std::string& job_folder) {
  ClientOptions options{.endpoint = contact.endpoint,
                        .self = self,
                        .incarnation = contact.incarnation,
                        .server_key = contact.server_key,
                        .keys = {}};
  if (!contact.server_key.empty()) {
    ASSIGN_OR_RETURN(const CurveKeys keys, ReadCurveKeys(CurveFile(job_folder)));
    options.keys = keys.worker;
  }
  return ConnectZmq(options);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CoordinatorLink>> CoordinatorLink::Start(
    const std::string& contact_file, Options options) {
  ASSIGN_OR_RETURN(const Contact contact, ReadContact(contact_file));
  const Incarnation started_by = options.identity.incarnation;
  if (contact.incarnation < started_by ||
      (contact.incarnation != started_by && options.orphan_grace_ms == 0)) {
    return Aborted("this worker belongs to coordinator incarnation " +
                   std::to_string(started_by.value()) + ", " + contact_file + " names " +
                   std::to_string(contact.incarnation.value()));
  }
  options.identity.incarnation = contact.incarnation;
  options.endpoint = contact.endpoint;
  const std::string folder = DirName(contact_file);
  ASSIGN_OR_RETURN(auto transport, ConnectTo(contact, options.identity.worker, folder));
  FindNext find_next = [contact_file, folder, self = options.identity.worker](
                           Incarnation last) -> absl::StatusOr<std::optional<Connection>> {
    ASSIGN_OR_RETURN(const Contact next, ReadContact(contact_file));
    if (next.incarnation <= last) return std::nullopt;
    ASSIGN_OR_RETURN(auto connection, ConnectTo(next, self, folder));
    return Connection{next.incarnation, std::move(connection)};
  };
  return StartWith(std::move(transport), std::move(options), std::move(find_next), Clock::Real());
}

std::unique_ptr<CoordinatorLink> CoordinatorLink::StartWith(
    std::unique_ptr<ClientTransport> transport, Options options, FindNext find_next, Clock* clock) {
  return std::make_unique<Link>(std::move(transport), std::move(options), std::move(find_next),
                                clock);
}

}  // namespace halcyon::cluster
