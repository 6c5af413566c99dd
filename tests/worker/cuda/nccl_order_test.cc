// The order of streams, the faults and the figures of NCCL's collectives, on a fake device
// (fakes/fake_device.h): nccl_collectives.cc as it is, without CUDA.
#include <gmock/gmock.h>

#include <map>
#include <mutex>
#include <optional>

#include "tests/worker/cuda/fakes/fake_device.h"
#include "worker/cuda/nccl_collectives.h"

namespace halcyon::worker {
namespace {

using cluster::Buffer;
using cluster::ElementType;
using cluster::Group;
using cluster::Pending;
using testing::HasSubstr;

class NcclOrderTest : public testing::Test {
 protected:
  void SetUp() override {
    device_.compute = device_.communication = {};
    device_.nccl_fault = 0;
    device_.nccl_refuses = false;
    Make(60'000);
  }
  void Make(int64_t timeout_ms) {
    gang_.reset();
    device_.aborted = device_.destroyed = 0;
    auto made = MakeNcclCollectives(&host_, {.device = 0, .timeout_ms = timeout_ms});
    ASSERT_TRUE(made.ok()) << made.status();
    gang_ = *std::move(made);
  }
  void TearDown() override {
    Hold(device_.compute, false);
    Hold(device_.communication, false);
    gang_.reset();
  }

  // Lives as long as what the device may still do.
  std::vector<float>& Values(float value, size_t count = 1) {
    return buffers_.emplace_back(count, value);
  }
  static Buffer OnDevice(std::vector<float>& values) {
    return {values.data(), values.size(), ElementType::kFloat32, cluster::Device{0}};
  }
  Pending Gather(std::vector<float>& in, std::vector<float>& out, const char* what = "block.3") {
    return gang_->AllGather(Group::kAll, OnDevice(in), OnDevice(out), what);
  }
  void Compute(std::function<void()> work) {
    const std::lock_guard lock(device_.mutex);
    device_.compute.work.push_back([work = std::move(work)] { return work(), true; });
  }
  void Hold(CUstream_st& stream, bool held) {
    const std::lock_guard lock(device_.mutex);
    stream.held = held;
  }
  void RunDevice() {
    const std::lock_guard lock(device_.mutex);
    device_.Run();
  }

  fake::Device& device_ = fake::TheDevice();
  cluster::SingleRank host_;
  std::deque<std::vector<float>> buffers_;
  std::unique_ptr<cluster::Collectives> gang_;
};

TEST_F(NcclOrderTest, WaitsForWhatTheStreamHeldAndMakesWhatFollowsWaitForIt) {
  std::vector<float>&in = Values(1), &out = Values(-1);
  float seen = 0;
  Hold(device_.compute, true);
  Compute([&] { in[0] = 7; });
  Pending gather = Gather(in, out);
  RunDevice();
  EXPECT_EQ(out[0], -1) << "its input is not there yet";
  EXPECT_EQ(gang_->Current(), "all-gather of block.3, number 1");

  Hold(device_.communication, true);
  Hold(device_.compute, false);
  EXPECT_TRUE(gather.Wait().ok());  // without blocking: the communication stands still
  Compute([&] { seen = out[0]; });
  RunDevice();
  EXPECT_EQ(in[0], 7);
  EXPECT_EQ(seen, 0) << "the stream waits for the collective";
  Hold(device_.communication, false);
  RunDevice();
  EXPECT_EQ(seen, 7);
  EXPECT_TRUE(gather.Wait().ok()) << "may be called again";
}

// Events go from one collective to the next: a wait that comes late must not take another's.
TEST_F(NcclOrderTest, AWaitAfterTheEndWaitsForNothing) {
  std::vector<float>&in = Values(3), &first = Values(-1), &second = Values(-1);
  Pending early = Gather(in, first);
  EXPECT_TRUE(gang_->Barrier().ok());  // sees the end
  EXPECT_EQ(first[0], 3);
  Hold(device_.communication, true);
  Pending late = Gather(in, second);
  EXPECT_TRUE(early.Wait().ok());
  bool goes_on = false;
  Compute([&] { goes_on = true; });
  RunDevice();
  EXPECT_TRUE(goes_on);
  Hold(device_.communication, false);
  EXPECT_TRUE(late.Wait().ok());
}

TEST_F(NcclOrderTest, BlockingCollectivesComeBehindWhatWasStarted) {
  std::vector<float>&in = Values(2, 100), &out = Values(0, 100);
  for (int i = 0; i < 100; ++i) Gather(in, out);
  std::vector<double> sum = {4};
  EXPECT_TRUE(gang_->AllReduceSum(sum).ok());
  EXPECT_EQ(out, in);
  EXPECT_EQ(gang_->Current(), "");
  const cluster::CollectiveFigures figures = gang_->TakeFigures();
  EXPECT_EQ(figures.collectives, 100u);
  EXPECT_EQ(figures.busy_us, 100 * 2000);
}

TEST_F(NcclOrderTest, ACollectiveThatDoesNotEndIsAbortedAndNamed) {
  Make(/*timeout_ms=*/150);
  std::vector<float>&in = Values(1), &out = Values(0);
  Hold(device_.communication, true);
  Pending gather = Gather(in, out);
  const absl::Status status = gang_->Barrier();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(MessageOf(status), HasSubstr("all-gather of block.3, number 1 has not ended within"));
  EXPECT_EQ(gather.Wait(), status);
  EXPECT_EQ(Gather(in, out).Wait(), status) << "the error of all later ones";
  gang_.reset();
  EXPECT_EQ(device_.aborted, 1);
  EXPECT_EQ(device_.destroyed, 0);
}

// Rank 0 of three on a node, as far as the device's collectives ask.
class FirstOfThree final : public cluster::Collectives {
 public:
  int rank_in(Group) const override { return 0; }
  int size_of(Group group) const override { return group == Group::kAcrossNodes ? 0 : 3; }
  Pending AllGather(Group, cluster::ConstBuffer, Buffer, std::string_view) override { return {}; }
  Pending ReduceScatterSum(Group, cluster::ConstBuffer, Buffer, std::string_view) override {
    return {};
  }
  absl::Status AllReduceSum(std::span<double>) override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override {
    return std::vector<std::string>{std::string(bytes)};
  }
  absl::Status Barrier() override { return absl::OkStatus(); }
  uint64_t order_digest() const override { return 0; }
  cluster::CollectiveFigures TakeFigures() override { return {}; }
  std::string Current() const override { return ""; }
  cluster::CollectiveStanding Standing() const override { return {}; }
};

struct Notes : cluster::Arrivals {
  std::mutex mutex;
  std::map<int, uint64_t> numbers;
  void Note(int rank, uint64_t number) override {
    const std::lock_guard lock(mutex);
    numbers[rank] = number;
  }
  std::optional<uint64_t> NotedBy(int rank) override {
    const std::lock_guard lock(mutex);
    return numbers.contains(rank) ? std::optional(numbers[rank]) : std::nullopt;
  }
};

TEST_F(NcclOrderTest, ASilentPeerIsNamed) {
  FirstOfThree host;
  const auto notes = std::make_shared<Notes>();
  auto made = MakeNcclCollectives(&host, {.device = 0, .timeout_ms = 1000, .arrivals = notes});
  ASSERT_TRUE(made.ok()) << made.status();
  gang_ = *std::move(made);
  std::vector<float>&in = Values(1), &out = Values(0, 3);
  EXPECT_TRUE(Gather(in, out).Wait().ok());
  EXPECT_TRUE(gang_->Barrier().ok());
  notes->Note(1, 2);
  notes->Note(2, 1);  // in the first collective
  Hold(device_.communication, true);
  Gather(in, out);
  const absl::Status status = gang_->Barrier();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(MessageOf(status),
            "all-gather of block.3, number 2 has not ended within 1 s: rank 2 has not come to it");
  EXPECT_EQ(notes->NotedBy(0), 2u) << "the others can see where this rank is";
  gang_.reset();
}

TEST_F(NcclOrderTest, AFaultThatNcclFindsLaterIsReportedWithItsPeer) {
  std::vector<float>&in = Values(1), &out = Values(0);
  Hold(device_.communication, true);
  Pending gather = Gather(in, out);
  {
    const std::lock_guard lock(device_.mutex);
    device_.nccl_fault = 6;  // ncclRemoteError
  }
  const absl::Status status = gang_->Barrier();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(MessageOf(status),
            "all-gather of block.3, number 1: found by NCCL meanwhile: NCCL: a fake fault (peer "
            "10.0.0.7)");
}

TEST_F(NcclOrderTest, ACollectiveThatCannotStartIsAnError) {
  std::vector<float>&in = Values(1), &out = Values(0);
  device_.nccl_refuses = true;
  const absl::Status status = Gather(in, out, "head").Wait();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(MessageOf(status), HasSubstr("all-gather of head, number 1: NCCL: a fake fault"));
  EXPECT_EQ(gang_->Barrier(), status);
}

TEST_F(NcclOrderTest, CommunicatorsAreDestroyedAtTheEnd) {
  std::vector<float>&in = Values(1), &out = Values(0);
  Gather(in, out);
  gang_.reset();
  EXPECT_EQ(out[0], 1) << "what was started ends first";
  EXPECT_EQ(device_.destroyed, 1);
  EXPECT_EQ(device_.aborted, 0);
}

}  // namespace
}  // namespace halcyon::worker
