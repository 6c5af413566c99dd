#include "cluster/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <set>
#include <vector>

#include "base/philox.h"

namespace halcyon::cluster {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

StageAssignment SomeAssignment() {
  return {.stage = "latents",
          .fingerprint = std::string(64, 'f'),
          .spec_path = "/home/job.toml",
          .work_dir = "/home/work",
          .input_paths = {{"tokens", "/a/tokens"}, {"autoencoder", "/a/ae"}},
          .input_digests = {{"tokens", "12"}, {"autoencoder", ""}},
          .claim = 9,
          .launch = 2};
}

// One of each, in the order of the variant, with values at the ends of their ranges.
std::vector<Body> AllBodies() {
  constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();
  const Json json = {{"loss", 0.1}, {"eval", {{"brier", -3}}}, {"list", {1, "two", nullptr, true}}};
  return {
      Hello{"rank", "model", std::numeric_limits<uint32_t>::max(), -1, kLargest, "böot", "f00", 3,
            kLargest, "tokens/3", 17, "höst"},
      Ready{kLargest},
      Alive{{"collective", "all-gather of block.2", 120, kLargest, -1, kLargest, 7}},
      TaskProgress{"tokens/3", kLargest, 0.1},
      TaskDone{"tokens/3", 7, json},
      TaskFailed{"tokens/3", 7, -13, "no space left"},
      TrainProgress{"model", 120, 1000, json},
      RankEnded{"model", 1, 0, "", Json()},
      Welcome{SomeAssignment()},
      Lease{"latents/0", kLargest, SomeAssignment(), json},
      CoordinatorAlive{},
      Stop{"the user asked", true},
  };
}

Message Enveloped(Body body) {
  return {JobId("quickstart-3f2a91c0"),
          WorkerId{"model-rank-1", 42},
          Incarnation(7),
          std::move(body),
          /*sequence=*/12,
          /*acknowledged=*/8};
}

// The CBOR of a message that carries `body`, after `change` has edited its envelope.
std::string Changed(const Body& body, const std::function<void(Json&)>& change) {
  Json envelope = Json::from_cbor(Encode(Enveloped(body)));
  change(envelope);
  std::string bytes;
  Json::to_cbor(envelope, bytes);
  return bytes;
}

void ExpectRefused(const std::string& bytes, const std::string& why) {
  const auto message = Decode(bytes);
  EXPECT_TRUE(absl::IsInvalidArgument(message.status())) << message.status();
  EXPECT_THAT(MessageOf(message.status()), HasSubstr(why));
}

TEST(Messages, EveryBodySurvivesTheWire) {
  const auto bodies = AllBodies();
  ASSERT_EQ(bodies.size(), std::variant_size_v<Body>);
  std::set<std::string_view> names;
  for (size_t i = 0; i < bodies.size(); ++i) {
    ASSERT_EQ(bodies[i].index(), i);
    names.insert(TypeName(bodies[i]));
    const auto back = Decode(Encode(Enveloped(bodies[i])));
    ASSERT_TRUE(back.ok()) << TypeName(bodies[i]) << ": " << back.status();
    EXPECT_EQ(back->job, JobId("quickstart-3f2a91c0"));
    EXPECT_EQ(back->worker, (WorkerId{"model-rank-1", 42}));
    EXPECT_EQ(back->incarnation, Incarnation(7));
    EXPECT_EQ(back->sequence, 12u);
    EXPECT_EQ(back->acknowledged, 8u);
    EXPECT_EQ(back->body, bodies[i]) << TypeName(bodies[i]);
  }
  EXPECT_EQ(names.size(), bodies.size());
}

TEST(Messages, OnlyHeartbeatsAndTheEndAtOnceAreOutsideTheStreams) {
  std::set<std::string_view> outside;
  for (const Body& body : AllBodies()) {
    if (!IsSequenced(body)) outside.insert(TypeName(body));
  }
  EXPECT_EQ(outside, (std::set<std::string_view>{"alive", "coordinator_alive", "stop"}));
  EXPECT_TRUE(IsSequenced(Stop{"the user asked", /*end_now=*/false}));
}

TEST(Messages, EnvelopeReadsAsDocumented) {
  const Json expected = {{"v", 3},
                         {"type", "task_failed"},
                         {"job", "quickstart-3f2a91c0"},
                         {"worker", "model-rank-1"},
                         {"worker_incarnation", 42},
                         {"incarnation", 7},
                         {"sequence", 12},
                         {"acknowledged", 8},
                         {"body", {{"task", "t"}, {"fence", 5}, {"code", 8}, {"message", "m"}}}};
  EXPECT_EQ(Json::from_cbor(Encode(Enveloped(TaskFailed{"t", 5, 8, "m"}))), expected);
}

TEST(Messages, RefusesAnotherVersion) {
  ExpectRefused(Changed(Ready{}, [](Json& e) { e["v"] = 1; }), "protocol version 1");
  // Also when that version has other members.
  ExpectRefused(Changed(Ready{}, [](Json& e) { e["v"] = 4, e["more"] = 1; }), "version 4");
}

TEST(Messages, RefusesAnUnknownType) {
  ExpectRefused(Changed(Ready{}, [](Json& e) { e["type"] = "goodbye"; }), "'goodbye'");
}

TEST(Messages, RefusesAnEnvelopeWithoutAnyOfItsMembers) {
  for (const char* member : {"v", "type", "job", "worker", "worker_incarnation", "incarnation",
                             "sequence", "acknowledged", "body"}) {
    ExpectRefused(Changed(Ready{}, [&](Json& e) { e.erase(member); }), "envelope");
    ExpectRefused(Changed(Ready{}, [&](Json& e) { e[member] = Json::array(); }), "");
  }
  ExpectRefused(Changed(Ready{}, [](Json& e) { e["more"] = 1; }), "envelope");
  ExpectRefused(Changed(Ready{}, [](Json& e) { e = Json::array({e}); }), "envelope");
}

TEST(Messages, RefusesNamesThatATerminalWouldActOn) {
  for (const char* member : {"job", "worker"}) {
    for (const std::string& name : {std::string(), std::string("agent\x1b[2J"),
                                    std::string("agent-0\nagent-1"), std::string(1000, 'x')}) {
      ExpectRefused(Changed(Ready{}, [&](Json& e) { e[member] = name; }), "no name");
    }
  }
}

TEST(Messages, RefusesABodyWithoutOrWithOtherMembers) {
  for (const Body& body : AllBodies()) {
    const Json whole = Json::from_cbor(Encode(Enveloped(body)))["body"];
    for (const auto& item : whole.items()) {
      ExpectRefused(Changed(body, [&](Json& e) { e["body"].erase(item.key()); }), "does not fit");
    }
    ExpectRefused(Changed(body, [](Json& e) { e["body"]["more"] = 1; }), "does not fit");
    ExpectRefused(Changed(body, [](Json& e) { e["body"] = nullptr; }), "does not fit");
  }
}

TEST(Messages, RefusesMistypedMembers) {
  const auto refused = [](const Body& body, const char* pointer, const Json& value) {
    ExpectRefused(Changed(body, [&](Json& e) { e["body"][Json::json_pointer(pointer)] = value; }),
                  "does not fit");
  };
  refused(Stop{}, "/end_now", 1);
  refused(Hello{}, "/role", 1);
  refused(Hello{}, "/rank", -1);
  refused(Hello{}, "/rank", 1ull << 32);
  refused(Hello{}, "/rank", 1.0);
  refused(Hello{}, "/pid", 1ull << 63);
  refused(TaskFailed{}, "/code", 1ull << 31);
  refused(TaskFailed{}, "/fence", true);
  refused(TaskProgress{}, "/fraction", "half");
  refused(TaskProgress{}, "/fraction", 1);
  refused(Welcome{}, "/assignment/input_paths", Json::array());
  refused(Welcome{}, "/assignment/input_paths/tokens", 3);
  refused(Lease{}, "/assignment", "tokens");
}

TEST(Messages, RefusesBytesThatAreNoCbor) {
  ExpectRefused("", "not CBOR");
  ExpectRefused("hello, coordinator", "not CBOR");
  const std::string good = Encode(Enveloped(AllBodies()[9]));
  ExpectRefused(good + '\0', "not CBOR");
  for (size_t size = 0; size < good.size(); ++size) ExpectRefused(good.substr(0, size), "");
}

TEST(Messages, RefusesDepthAndLengthsThatWouldEndTheProcess) {
  ExpectRefused(std::string(kMessageBytesMax, '\x81'), "nested too deeply");  // arrays in arrays
  ExpectRefused(std::string(kMessageBytesMax + 1, '\x81'), "at most 4194304");
  ExpectRefused(std::string("\x9b\xff\xff\xff\xff\xff\xff\xff\xf0", 9), "not CBOR");
  ExpectRefused(std::string("\x7b\xff\xff\xff\xff\xff\xff\xff\xf0", 9), "not CBOR");
}

// Whatever happens to the bytes, decoding ends with a message or a refusal, and what was taken for
// a message is one: it can be written and read again.
TEST(Messages, DecodeRefusesOrReadsRandomMutations) {
  constexpr int kRounds = 20'000;
  const auto bodies = AllBodies();
  int accepted = 0;
  for (int round = 0; round < kRounds; ++round) {
    const PhiloxStream random(1, NoiseStream::kInitialisation, 0, round);
    std::string bytes = Encode(Enveloped(bodies[random.Below(0, bodies.size())]));
    const uint64_t changes = 1 + random.Below(1, 4);
    for (uint64_t change = 0; change < changes && !bytes.empty(); ++change) {
      const uint64_t at = random.Below(4 * change + 2, bytes.size());
      const char byte = static_cast<char>(random.Below(4 * change + 3, 256));
      switch (random.Below(4 * change + 4, 4)) {
        case 0:
          bytes[at] = byte;
          break;
        case 1:
          bytes.erase(at, 1 + random.Below(4 * change + 5, 8));
          break;
        case 2:
          bytes.insert(at, 1, byte);
          break;
        default:
          bytes.resize(at);
          break;
      }
    }
    const auto message = Decode(bytes);
    if (!message.ok()) {
      ASSERT_TRUE(absl::IsInvalidArgument(message.status()));
      continue;
    }
    ++accepted;
    ASSERT_TRUE(Decode(Encode(*message)).ok()) << "round " << round;
  }
  EXPECT_GT(accepted, kRounds / 100);  // changed letters of a text, for instance
  EXPECT_LT(accepted, kRounds / 2);
}

}  // namespace
}  // namespace halcyon::cluster
