#include "cluster/reliable_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "base/philox.h"

namespace halcyon::cluster {
namespace {

Body Numbered(uint64_t number) { return TaskProgress{"t", number, 0}; }
uint64_t NumberOf(const Body& body) { return std::get<TaskProgress>(body).fence; }

// What is due, as it goes over the wire.
std::optional<Message> TakeDue(ReliableStream& stream, int64_t now_ms) {
  const ReliableStream::Outgoing* due = stream.Due();
  if (due == nullptr) return std::nullopt;
  Message message;
  message.body = due->body;
  message.sequence = due->sequence;
  message.acknowledged = stream.received();
  stream.Sent(now_ms);
  return message;
}

Message HeartbeatOf(const ReliableStream& stream) {
  Message message;
  message.body = Alive{};
  message.acknowledged = stream.received();
  return message;
}

std::vector<uint64_t> SequencesDue(ReliableStream& stream, int64_t now_ms) {
  std::vector<uint64_t> sequences;
  while (const auto message = TakeDue(stream, now_ms)) sequences.push_back(message->sequence);
  return sequences;
}

using Sequences = std::vector<uint64_t>;

TEST(ReliableStream, NumbersWhatIsSentAndSendsItOnce) {
  ReliableStream stream;
  EXPECT_EQ(stream.Due(), nullptr);
  for (uint64_t i = 0; i < 3; ++i) stream.Queue(Numbered(i));
  EXPECT_EQ(SequencesDue(stream, 0), (Sequences{1, 2, 3}));
  EXPECT_EQ(stream.Due(), nullptr);
  EXPECT_EQ(stream.unacknowledged(), 3u);
}

TEST(ReliableStream, TakesEachNumberOnceAndInOrder) {
  ReliableStream sender, receiver;
  for (uint64_t i = 1; i <= 3; ++i) sender.Queue(Numbered(i));
  const Message first = *TakeDue(sender, 0), second = *TakeDue(sender, 0);
  EXPECT_FALSE(receiver.Accept(second, 0)) << "one is missing before it";
  EXPECT_EQ(receiver.received(), 0u);
  EXPECT_TRUE(receiver.Accept(first, 0));
  EXPECT_FALSE(receiver.Accept(first, 0)) << "again";
  EXPECT_TRUE(receiver.Accept(second, 0));
  EXPECT_EQ(receiver.received(), 2u);
  Message unnumbered = second;
  unnumbered.sequence = 0;
  EXPECT_FALSE(receiver.Accept(unnumbered, 0)) << "only heartbeats have no number";
}

TEST(ReliableStream, ForgetsWhatIsAcknowledged) {
  ReliableStream sender, receiver;
  for (uint64_t i = 1; i <= 3; ++i) sender.Queue(Numbered(i));
  receiver.Accept(*TakeDue(sender, 0), 0);
  receiver.Accept(*TakeDue(sender, 0), 0);
  EXPECT_TRUE(sender.Accept(HeartbeatOf(receiver), 0));
  ASSERT_EQ(sender.Unacknowledged().size(), 1u);
  EXPECT_EQ(NumberOf(sender.Unacknowledged()[0]), 3u);
  EXPECT_EQ(SequencesDue(sender, 0), (Sequences{3}));
}

TEST(ReliableStream, SendsAgainWhenAnAcknowledgementStandsStill) {
  ReliableStream sender, receiver;
  for (uint64_t i = 1; i <= 3; ++i) sender.Queue(Numbered(i));
  receiver.Accept(*TakeDue(sender, 1000), 1000);
  SequencesDue(sender, 1000);
  sender.Accept(HeartbeatOf(receiver), 2000);  // moves on to 1
  sender.Accept(HeartbeatOf(receiver), 2000 + kResendAfterMs - 1);
  EXPECT_EQ(sender.Due(), nullptr);
  sender.Accept(HeartbeatOf(receiver), 2000 + kResendAfterMs);
  EXPECT_EQ(SequencesDue(sender, 2000 + kResendAfterMs), (Sequences{2, 3}));
  sender.Accept(HeartbeatOf(receiver), 2000 + 2 * kResendAfterMs - 1);
  EXPECT_EQ(sender.Due(), nullptr) << "the time counts anew";
}

TEST(ReliableStream, RepeatsNothingToAPeerThatSendsNothingAndNothingWithoutNeed) {
  ReliableStream sender, receiver;
  sender.Queue(Numbered(1));
  const Message message = *TakeDue(sender, 0);
  EXPECT_EQ(sender.Due(), nullptr);
  receiver.Accept(message, 100'000);
  sender.Accept(HeartbeatOf(receiver), 100'000);
  sender.Accept(HeartbeatOf(receiver), 200'000);
  EXPECT_EQ(sender.unacknowledged(), 0u);
  sender.Queue(Numbered(2));  // long after the last acknowledgement moved
  EXPECT_EQ(SequencesDue(sender, 300'000), (Sequences{2}));
  sender.Accept(HeartbeatOf(receiver), 300'001);
  EXPECT_EQ(sender.Due(), nullptr);
}

TEST(ReliableStream, HasABoundedNumberUnderWay) {
  ReliableStream sender, receiver;
  for (uint64_t i = 0; i < kInFlightMax + 5; ++i) sender.Queue(Numbered(i));
  const Message first = *TakeDue(sender, 0);
  EXPECT_EQ(SequencesDue(sender, 0).size(), kInFlightMax - 1);
  receiver.Accept(first, 0);
  sender.Accept(HeartbeatOf(receiver), 0);
  EXPECT_EQ(SequencesDue(sender, 0), (Sequences{kInFlightMax + 1}));
}

TEST(ReliableStream, AnAcknowledgementOfWhatWasNotSentIsIgnored) {
  ReliableStream sender;
  sender.Queue(Numbered(1));
  sender.Queue(Numbered(2));
  TakeDue(sender, 0);
  Message heartbeat;
  heartbeat.body = CoordinatorAlive{};
  heartbeat.acknowledged = 2;
  sender.Accept(heartbeat, 0);
  EXPECT_EQ(sender.unacknowledged(), 2u);
  EXPECT_EQ(SequencesDue(sender, 0), (Sequences{2}));
}

// Two ends over a network that loses, doubles and reorders, from a seed.
class Exchange {
 public:
  explicit Exchange(uint64_t seed) : random_(seed, NoiseStream::kSampleOrder, 0, 0) {}

  void Run() {
    const uint64_t messages = 1 + Below(120);
    loss_ = Below(60), doubling_ = Below(30), reordering_ = Below(50);
    for (int turn = 0; turn < 150; ++turn) Turn(messages);
    // The network and the readers recover, and all comes in.
    loss_ = reordering_ = 0;
    reads_max_ = 10'000;
    for (int turn = 0; turn < 200; ++turn) Turn(messages);
    for (const End& end : ends_) {
      ASSERT_EQ(end.taken, messages);
      ASSERT_EQ(end.stream.unacknowledged(), 0u);
    }
  }

 private:
  struct End {
    ReliableStream stream;
    uint64_t queued = 0, taken = 0;
    std::deque<Message> arriving;
  };

  uint64_t Below(uint64_t bound) { return random_.Below(drawn_++, bound); }

  void Turn(uint64_t messages) {
    now_ms_ += static_cast<int64_t>(Below(1500));
    for (int side = 0; side < 2; ++side) {
      End& end = ends_[side];
      for (uint64_t more = Below(8); more > 0 && end.queued < messages; --more) {
        end.stream.Queue(Numbered(++end.queued));
      }
      while (auto message = TakeDue(end.stream, now_ms_)) Carry(*message, 1 - side);
      Carry(HeartbeatOf(end.stream), 1 - side);
      for (uint64_t reads = Below(reads_max_); reads > 0 && !end.arriving.empty(); --reads)
        Read(&end);
    }
  }

  void Carry(const Message& message, int to) {
    std::deque<Message>& arriving = ends_[to].arriving;
    if (Below(100) < loss_ || arriving.size() > 200) return;
    const size_t at = Below(100) < reordering_ ? Below(arriving.size() + 1) : arriving.size();
    arriving.insert(arriving.begin() + static_cast<std::ptrdiff_t>(at), message);
    if (Below(100) < doubling_) arriving.push_back(message);
  }

  void Read(End* end) {
    const Message message = end->arriving.front();
    end->arriving.pop_front();
    if (!end->stream.Accept(message, now_ms_) || !IsSequenced(message.body)) return;
    ASSERT_EQ(NumberOf(message.body), ++end->taken) << "twice, or not in order";
  }

  PhiloxStream random_;
  uint64_t drawn_ = 0, loss_ = 0, doubling_ = 0, reordering_ = 0, reads_max_ = 20;
  int64_t now_ms_ = 1000;
  End ends_[2];
};

TEST(ReliableStream, EverythingComesInOnceAndInOrderOverABadNetwork) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    Exchange(seed).Run();
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace halcyon::cluster
