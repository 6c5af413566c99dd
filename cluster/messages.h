// The messages between coordinator and workers. A message is an envelope and one of the bodies
// below, written as CBOR. A peer that meets an envelope of another version, an unknown type or a
// body that lacks a member drops the message with a logged kInvalidArgument; it never guesses.
#ifndef HALCYON_CLUSTER_MESSAGES_H_
#define HALCYON_CLUSTER_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>

#include <nlohmann/json.hpp>

#include "base/ids.h"
#include "base/status.h"

namespace halcyon::cluster {

inline constexpr uint32_t kProtocolVersion = 3;
// The longest legal message is the report of an evaluation with its sample texts; nothing else
// comes near.
inline constexpr size_t kMessageBytesMax = 4 << 20;

// What a worker must know of a stage beyond the resolved job file: identities and paths.
struct StageAssignment {
  std::string stage;                                 // "tokens"
  std::string fingerprint;                           // 64 hexadecimal digits
  std::string spec_path;                             // resolved job.toml
  std::string work_dir;                              // this stage's scratch folder; exists
  std::map<std::string, std::string> input_paths;    // stage -> artifact folder
  std::map<std::string, std::string> input_digests;  // stage -> content digest
  uint64_t claim = 0;   // number of the job's claim of the stage (storage/lease.h)
  uint64_t launch = 0;  // of a gang: 1, 2, ... within the claim
  bool operator==(const StageAssignment&) const = default;
};

// --- worker to coordinator ---
// The first message of a worker to a coordinator. The members after boot_id are of a worker that an
// earlier coordinator of the job has started and that goes on: what it works on.
struct Hello {
  std::string role;   // "agent" or "rank"
  std::string stage;  // of a rank
  uint32_t rank = 0;
  int64_t pid = 0;
  uint64_t start_time = 0;       // of the process: clock ticks since boot
  std::string boot_id;           // of its machine; the three together name one process
  std::string fingerprint = {};  // of the stage, of a rank or of an agent's task
  uint64_t claim = 0;            // of a rank, as in its assignment
  uint64_t launch = 0;
  std::string task = {};  // of an agent, with a result that no coordinator has taken; "": none
  uint64_t fence = 0;     // of its lease
  std::string host = {};  // the machine's name, for people
  bool operator==(const Hello&) const = default;
};
struct Ready {              // an agent has nothing to do
  uint64_t last_fence = 0;  // of the last lease that it has served; 0: of none
  bool operator==(const Ready&) const = default;
};
// What a worker does, and whether it goes on (cluster/work_progress.h).
struct Activity {
  std::string phase = {};    // "forward", "collective", "task"
  std::string what = {};     // of: "block.3", "all-gather of block.3", "tokens/3"
  int64_t step = -1;         // of training; -1: none
  uint64_t advances = 0;     // how often its own thread has gone on
  int64_t age_ms = 0;        // since it last did, on the worker's clock
  uint64_t collectives = 0;  // that it has started
  uint64_t collective = 0;   // the number of the oldest under way; 0: none
  bool operator==(const Activity&) const = default;
};
struct Alive {  // every heartbeat interval
  Activity activity;
  bool operator==(const Alive&) const = default;
};
struct TaskProgress {
  std::string task;
  uint64_t fence = 0;
  double fraction = 0;  // of the task, 0 ... 1
  bool operator==(const TaskProgress&) const = default;
};
struct TaskDone {
  std::string task;
  uint64_t fence = 0;
  nlohmann::json result;  // by kind of task; the paths of its files follow from the lease
  bool operator==(const TaskDone&) const = default;
};
struct TaskFailed {
  std::string task;
  uint64_t fence = 0;
  int code = 0;  // absl::StatusCode
  std::string message;
  bool operator==(const TaskFailed&) const = default;
};
struct TrainProgress {  // rank 0, about once a second and at every evaluation or checkpoint
  std::string stage;
  uint64_t step = 0;
  uint64_t steps = 0;
  nlohmann::json figures;  // {"loss": 1.2, "tokens_per_s": ..., "eval": {...}, "checkpoint": 100}
  bool operator==(const TrainProgress&) const = default;
};
struct RankEnded {  // the last message of a rank that is still connected
  std::string stage;
  uint32_t rank = 0;
  int code = 0;  // absl::StatusCode; 0: the stage is done
  std::string message;
  // Of rank 0 of a finished stage: {"content_digest", ...}. Where its files lie follows from the
  // assignment (cluster/outputs.h).
  nlohmann::json result;
  bool operator==(const RankEnded&) const = default;
};

// --- coordinator to worker ---
struct Welcome {               // answers Hello
  StageAssignment assignment;  // for ranks; empty for agents
  bool operator==(const Welcome&) const = default;
};
struct Lease {       // answers Ready when there is work
  std::string task;  // "tokens/3"
  uint64_t fence = 0;
  StageAssignment assignment;
  nlohmann::json parameters;  // of the task, e.g. the source shard
  bool operator==(const Lease&) const = default;
};
struct CoordinatorAlive {  // every heartbeat interval
  bool operator==(const CoordinatorAlive&) const = default;
};
struct Stop {  // agents end; ranks agree on a step, save and end
  std::string reason;
  bool end_now = false;  // the worker does not belong to the job any more: it ends at once
  bool operator==(const Stop&) const = default;
};

using Body = std::variant<Hello, Ready, Alive, TaskProgress, TaskDone, TaskFailed, TrainProgress,
                          RankEnded, Welcome, Lease, CoordinatorAlive, Stop>;

struct Message {
  JobId job;
  WorkerId worker;          // the sender, or of a coordinator's message the receiver
  Incarnation incarnation;  // of the coordinator that the worker was started by
  Body body;
  // Both set by cluster/reliable_stream.h.
  uint64_t sequence = 0;      // 1, 2, ... in each direction; 0: may be lost or come twice
  uint64_t acknowledged = 0;  // all up to this number have come in at the sender
  size_t bytes = 0;           // on the wire; set by Decode
};

std::string Encode(const Message& message);
// Whether a message with this body is one of a stream: it has a number and comes in exactly once.
// The others are heartbeats and a Stop that ends the worker at once.
bool IsSequenced(const Body& body);
// kInvalidArgument: too large, not CBOR, wrong version, unknown type, missing or mistyped member.
absl::StatusOr<Message> Decode(std::string_view bytes);
// "hello", "task_done", ...: for logs.
std::string_view TypeName(const Body& body);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_MESSAGES_H_
