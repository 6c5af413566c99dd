#include "cluster/messages.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "base/terminal_text.h"

namespace halcyon::cluster {
namespace {

using Json = nlohmann::json;

// One member of a struct and its name on the wire.
template <typename Struct, typename Member>
struct Field {
  const char* name;
  Member Struct::*member;
};
template <typename Struct, typename Member>
Field(const char*, Member Struct::*) -> Field<Struct, Member>;

// Wire<T>::kFields lists what is written of a T, Wire<T>::kType names a body. This table is the
// whole protocol: encoding and decoding walk over it.
template <typename T>
struct Wire;

struct Envelope {
  uint32_t version = kProtocolVersion;
  std::string type;
  std::string job;
  std::string worker;
  uint64_t worker_incarnation = 0;
  uint64_t incarnation = 0;
  uint64_t sequence = 0;
  uint64_t acknowledged = 0;
  Json body;
};
template <>
struct Wire<Envelope> {
  static constexpr std::tuple kFields{Field{"v", &Envelope::version},
                                      Field{"type", &Envelope::type},
                                      Field{"job", &Envelope::job},
                                      Field{"worker", &Envelope::worker},
                                      Field{"worker_incarnation", &Envelope::worker_incarnation},
                                      Field{"incarnation", &Envelope::incarnation},
                                      Field{"sequence", &Envelope::sequence},
                                      Field{"acknowledged", &Envelope::acknowledged},
                                      Field{"body", &Envelope::body}};
};
template <>
struct Wire<StageAssignment> {
  static constexpr std::tuple kFields{Field{"stage", &StageAssignment::stage},
                                      Field{"fingerprint", &StageAssignment::fingerprint},
                                      Field{"spec_path", &StageAssignment::spec_path},
                                      Field{"work_dir", &StageAssignment::work_dir},
                                      Field{"input_paths", &StageAssignment::input_paths},
                                      Field{"input_digests", &StageAssignment::input_digests},
                                      Field{"claim", &StageAssignment::claim},
                                      Field{"launch", &StageAssignment::launch}};
};
template <>
struct Wire<Hello> {
  static constexpr std::string_view kType = "hello";
  static constexpr std::tuple kFields{Field{"role", &Hello::role},
                                      Field{"stage", &Hello::stage},
                                      Field{"rank", &Hello::rank},
                                      Field{"pid", &Hello::pid},
                                      Field{"start_time", &Hello::start_time},
                                      Field{"boot_id", &Hello::boot_id},
                                      Field{"fingerprint", &Hello::fingerprint},
                                      Field{"claim", &Hello::claim},
                                      Field{"launch", &Hello::launch},
                                      Field{"task", &Hello::task},
                                      Field{"fence", &Hello::fence},
                                      Field{"host", &Hello::host}};
};
template <>
struct Wire<Ready> {
  static constexpr std::string_view kType = "ready";
  static constexpr std::tuple kFields{Field{"last_fence", &Ready::last_fence}};
};
template <>
struct Wire<Activity> {
  static constexpr std::tuple kFields{Field{"phase", &Activity::phase},
                                      Field{"what", &Activity::what},
                                      Field{"step", &Activity::step},
                                      Field{"advances", &Activity::advances},
                                      Field{"age_ms", &Activity::age_ms},
                                      Field{"collectives", &Activity::collectives},
                                      Field{"collective", &Activity::collective}};
};
template <>
struct Wire<Alive> {
  static constexpr std::string_view kType = "alive";
  static constexpr std::tuple kFields{Field{"activity", &Alive::activity}};
};
template <>
struct Wire<TaskProgress> {
  static constexpr std::string_view kType = "task_progress";
  static constexpr std::tuple kFields{Field{"task", &TaskProgress::task},
                                      Field{"fence", &TaskProgress::fence},
                                      Field{"fraction", &TaskProgress::fraction}};
};
template <>
struct Wire<TaskDone> {
  static constexpr std::string_view kType = "task_done";
  static constexpr std::tuple kFields{Field{"task", &TaskDone::task},
                                      Field{"fence", &TaskDone::fence},
                                      Field{"result", &TaskDone::result}};
};
template <>
struct Wire<TaskFailed> {
  static constexpr std::string_view kType = "task_failed";
  static constexpr std::tuple kFields{
      Field{"task", &TaskFailed::task}, Field{"fence", &TaskFailed::fence},
      Field{"code", &TaskFailed::code}, Field{"message", &TaskFailed::message}};
};
template <>
struct Wire<TrainProgress> {
  static constexpr std::string_view kType = "train_progress";
  static constexpr std::tuple kFields{
      Field{"stage", &TrainProgress::stage}, Field{"step", &TrainProgress::step},
      Field{"steps", &TrainProgress::steps}, Field{"figures", &TrainProgress::figures}};
};
template <>
struct Wire<RankEnded> {
  static constexpr std::string_view kType = "rank_ended";
  static constexpr std::tuple kFields{
      Field{"stage", &RankEnded::stage}, Field{"rank", &RankEnded::rank},
      Field{"code", &RankEnded::code}, Field{"message", &RankEnded::message},
      Field{"result", &RankEnded::result}};
};
template <>
struct Wire<Welcome> {
  static constexpr std::string_view kType = "welcome";
  static constexpr std::tuple kFields{Field{"assignment", &Welcome::assignment}};
};
template <>
struct Wire<Lease> {
  static constexpr std::string_view kType = "lease";
  static constexpr std::tuple kFields{Field{"task", &Lease::task}, Field{"fence", &Lease::fence},
                                      Field{"assignment", &Lease::assignment},
                                      Field{"parameters", &Lease::parameters}};
};
template <>
struct Wire<CoordinatorAlive> {
  static constexpr std::string_view kType = "coordinator_alive";
  static constexpr std::tuple<> kFields{};
};
template <>
struct Wire<Stop> {
  static constexpr std::string_view kType = "stop";
  static constexpr std::tuple kFields{Field{"reason", &Stop::reason},
                                      Field{"end_now", &Stop::end_now}};
};

template <typename T>
concept Structured = requires {
  Wire<T>::kFields;
};

template <typename T>
Json ToJson(const T& value) {
  if constexpr (Structured<T>) {
    Json object = Json::object();
    std::apply([&](auto... field) { ((object[field.name] = ToJson(value.*field.member)), ...); },
               Wire<T>::kFields);
    return object;
  } else {
    return value;
  }
}

// The Read functions return false when `json` does not hold exactly a value of that type.

bool Read(const Json& json, Json* out) {
  *out = json;
  return true;
}

bool Read(const Json& json, double* out) {
  if (!json.is_number_float()) return false;
  *out = json.get<double>();
  return true;
}

bool Read(const Json& json, bool* out) {
  if (!json.is_boolean()) return false;
  *out = json.get<bool>();
  return true;
}

bool Read(const Json& json, std::string* out) {
  if (!json.is_string()) return false;
  *out = json.get_ref<const std::string&>();
  return true;
}

template <typename Integer>
requires std::is_integral_v<Integer>
bool Read(const Json& json, Integer* out) {
  if (!json.is_number_integer()) return false;
  // The library keeps what is negative as int64_t and everything else as uint64_t.
  const bool fits = json.is_number_unsigned() ? std::in_range<Integer>(json.get<uint64_t>())
                                              : std::in_range<Integer>(json.get<int64_t>());
  if (fits) *out = json.get<Integer>();
  return fits;
}

bool Read(const Json& json, std::map<std::string, std::string>* out) {
  if (!json.is_object()) return false;
  for (const auto& [key, value] : json.items()) {
    if (!Read(value, &(*out)[key])) return false;
  }
  return true;
}

template <Structured T>
bool Read(const Json& json, T* out) {
  if (!json.is_object() || json.size() != std::tuple_size_v<decltype(Wire<T>::kFields)>) {
    return false;
  }
  const auto read_member = [&](auto field) {
    const auto found = json.find(field.name);
    return found != json.end() && Read(*found, &(out->*field.member));
  };
  return std::apply([&](auto... field) { return (read_member(field) && ...); }, Wire<T>::kFields);
}

// False also when no body has this type.
template <size_t... kIndices>
bool ReadBody(const Envelope& envelope, Body* out, std::index_sequence<kIndices...>) {
  return ((envelope.type == Wire<std::variant_alternative_t<kIndices, Body>>::kType &&
           Read(envelope.body, &out->emplace<kIndices>())) ||
          ...);
}

// The library's CBOR reader recurses, so malformed bytes could overflow the stack. This follows the
// nesting alone and stops the reader before that.
class NestingGuard : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(Json::binary_t&) override { return true; }
  bool key(std::string&) override { return true; }
  bool start_object(size_t) override { return ++depth_ <= kDepthMax; }
  bool start_array(size_t) override { return ++depth_ <= kDepthMax; }
  bool end_object() override { return depth_-- > 0; }
  bool end_array() override { return depth_-- > 0; }
  bool parse_error(size_t, const std::string&, const Json::exception&) override { return false; }

 private:
  static constexpr int kDepthMax = 64;
  int depth_ = 0;
};

bool IsName(std::string_view name) {
  constexpr size_t kNameBytesMax = 512;
  return !name.empty() && name.size() <= kNameBytesMax &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; });
}

absl::StatusOr<Json> ParseCbor(std::string_view bytes) {
  try {
    NestingGuard guard;
    if (Json::sax_parse(bytes, &guard, Json::input_format_t::cbor)) {
      return Json::from_cbor(bytes);
    }
  } catch (const std::exception&) {
    // An impossible length of an array or a map.
  }
  return InvalidArgument("message of " + std::to_string(bytes.size()) +
                         " bytes is not CBOR, or nested too deeply");
}

}  // namespace

std::string Encode(const Message& message) {
  const Envelope envelope{
      .type = std::string(TypeName(message.body)),
      .job = message.job.value(),
      .worker = message.worker.name,
      .worker_incarnation = message.worker.incarnation,
      .incarnation = message.incarnation.value(),
      .sequence = message.sequence,
      .acknowledged = message.acknowledged,
      .body = std::visit([](const auto& body) { return ToJson(body); }, message.body)};
  std::string bytes;
  Json::to_cbor(ToJson(envelope), bytes);
  return bytes;
}

absl::StatusOr<Message> Decode(std::string_view bytes) {
  if (bytes.size() > kMessageBytesMax) {
    return InvalidArgument("message of " + std::to_string(bytes.size()) + " bytes; at most " +
                           std::to_string(kMessageBytesMax) + " are taken");
  }
  ASSIGN_OR_RETURN(const Json json, ParseCbor(bytes));
  Envelope envelope;
  if (json.is_object() && json.contains("v") && Read(json["v"], &envelope.version) &&
      envelope.version != kProtocolVersion) {
    return InvalidArgument("message of protocol version " + std::to_string(envelope.version) +
                           "; this program speaks " + std::to_string(kProtocolVersion));
  }
  if (!Read(json, &envelope)) {
    return InvalidArgument("message envelope lacks a member, or has one too many or mistyped");
  }
  // Names reach logs and terminals.
  if (!IsName(envelope.job) || !IsName(envelope.worker)) {
    return InvalidArgument("message whose job or worker has no name that a job gives");
  }
  Message message{JobId(envelope.job),
                  WorkerId{envelope.worker, envelope.worker_incarnation},
                  Incarnation(envelope.incarnation),
                  Body{},
                  envelope.sequence,
                  envelope.acknowledged,
                  bytes.size()};
  if (!ReadBody(envelope, &message.body, std::make_index_sequence<std::variant_size_v<Body>>())) {
    return InvalidArgument("message of worker " + envelope.worker + ": '" +
                           EscapeForTerminal(envelope.type) +
                           "' is no known type, or its body does not fit it");
  }
  return message;
}

bool IsSequenced(const Body& body) {
  if (const auto* stop = std::get_if<Stop>(&body)) return !stop->end_now;
  return !std::holds_alternative<Alive>(body) && !std::holds_alternative<CoordinatorAlive>(body);
}

std::string_view TypeName(const Body& body) {
  return std::visit([]<typename T>(const T&) { return Wire<T>::kType; }, body);
}

}  // namespace halcyon::cluster
