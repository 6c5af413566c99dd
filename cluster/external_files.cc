#include "cluster/external_files.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/shared_file.h"
#include "cluster/private_file.h"

namespace halcyon::cluster {
namespace {

using nlohmann::json;

constexpr size_t kOrderBytesMax = 1 << 20;  // of 1024 members, and an environment
constexpr const char* kKindNames[] = {"run", "end", "closed"};

std::string OrderPath(const std::string& folder) { return JoinPath(folder, "order"); }

std::string NotePath(const std::string& folder, int rank) {
  return JoinPath(folder, "member-" + std::to_string(rank));
}

absl::StatusOr<LaunchOrder::Kind> KindOf(const std::string& name) {
  for (size_t i = 0; i < std::size(kKindNames); ++i) {
    if (name == kKindNames[i]) return static_cast<LaunchOrder::Kind>(i);
  }
  return DataLoss("\"" + name + "\" is no kind of order");
}

// Calls `read`, which may throw what nlohmann's accesses throw.
template <typename Read>
auto ReadingJson(const std::string& path, const std::string& text, Read read)
    -> decltype(read(json())) {
  try {
    return read(json::parse(text));
  } catch (const json::exception& error) {
    return DataLoss(path + ": " + error.what());
  }
}

}  // namespace

std::string ExternalFolder(const std::string& job_folder) {
  return JoinPath(job_folder, "external");
}

absl::Status WriteOrder(const std::string& folder, const LaunchOrder& order) {
  const json written = {
      {"number", order.number},      {"kind", kKindNames[static_cast<size_t>(order.kind)]},
      {"name", order.name},          {"members", order.members},
      {"argv", order.argv},          {"env", order.env},
      {"log_path", order.log_path},  {"working_dir", order.working_dir},
      {"exit_code", order.exit_code}};
  return WritePrivateFile(OrderPath(folder), written.dump(1) + "\n");
}

absl::StatusOr<LaunchOrder> ReadOrder(const std::string& folder) {
  const std::string path = OrderPath(folder);
  ASSIGN_OR_RETURN(const std::string text, ReadPrivateFile(path, kOrderBytesMax));
  return ReadingJson(path, text, [](const json& from) -> absl::StatusOr<LaunchOrder> {
    LaunchOrder order;
    order.number = from.at("number").get<uint64_t>();
    ASSIGN_OR_RETURN(order.kind, KindOf(from.at("kind").get<std::string>()));
    order.name = from.at("name").get<std::string>();
    order.members = from.at("members").get<std::vector<std::string>>();
    order.argv = from.at("argv").get<std::vector<std::string>>();
    order.env = from.at("env").get<std::map<std::string, std::string>>();
    order.log_path = from.at("log_path").get<std::string>();
    order.working_dir = from.at("working_dir").get<std::string>();
    order.exit_code = from.at("exit_code").get<int>();
    return order;
  });
}

// Not synced: what a crash loses is written again with the next beat.
absl::Status WriteNote(Env& env, const std::string& folder, const MemberNote& note) {
  json written = {{"id", note.id},
                  {"generation", note.generation},
                  {"beat", note.beat},
                  {"rank", note.rank},
                  {"local_rank", note.local_rank},
                  {"world_size", note.world_size},
                  {"host", note.process.host},
                  {"boot_id", note.process.boot_id},
                  {"pid_namespace", note.process.pid_namespace},
                  {"pid", note.process.process.pid},
                  {"start_time", note.process.process.start_time},
                  {"has_left", note.has_left},
                  {"launch", note.launch},
                  {"is_running", note.is_running},
                  {"error", note.error}};
  if (note.exit) written["exit"] = {{"code", note.exit->code}, {"signal", note.exit->signal}};
  return WriteSharedFile(env, NotePath(folder, note.rank), written.dump() + "\n",
                         Durability::kUnsynced);
}

absl::StatusOr<MemberNote> ReadNote(Env& env, const std::string& folder, int rank) {
  const std::string path = NotePath(folder, rank);
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  return ReadingJson(path, text, [](const json& from) -> absl::StatusOr<MemberNote> {
    MemberNote note;
    note.id = from.at("id").get<std::string>();
    note.generation = from.at("generation").get<uint64_t>();
    note.beat = from.at("beat").get<uint64_t>();
    note.rank = from.at("rank").get<int>();
    note.local_rank = from.at("local_rank").get<int>();
    note.world_size = from.at("world_size").get<int>();
    note.process = {from.at("host").get<std::string>(),
                    from.at("boot_id").get<std::string>(),
                    from.at("pid_namespace").get<std::string>(),
                    {from.at("pid").get<pid_t>(), from.at("start_time").get<uint64_t>()}};
    note.has_left = from.at("has_left").get<bool>();
    note.launch = from.at("launch").get<uint64_t>();
    note.is_running = from.at("is_running").get<bool>();
    note.error = from.at("error").get<std::string>();
    if (from.contains("exit")) {
      note.exit = ExitStatus{from.at("exit").at("code").get<int>(),
                             from.at("exit").at("signal").get<int>()};
    }
    return note;
  });
}

}  // namespace halcyon::cluster
