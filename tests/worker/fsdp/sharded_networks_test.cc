// Each network's gradients, sharded over ranks, against those of the same network kept whole.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <mutex>

#include "cluster/in_process_gang.h"
#include "model/baseline_model.h"
#include "model/calm_model.h"
#include "model/initialise.h"
#include "worker/fsdp/fsdp.h"

namespace halcyon::worker {
namespace {

constexpr int64_t kVocab = 11, kChunk = 2, kLatent = 3, kRows = 3, kChunks = 4;
constexpr uint64_t kSeed = 9;

// A network and its loss over some rows of a fixed batch.
struct Net {
  std::vector<model::Unit*> units;
  std::function<at::Tensor(const std::vector<uint64_t>& rows)> loss;
};
// Keeps the network alive as long as the loss.
using MakeNet = std::function<Net()>;

at::Tensor TokensOf(const std::vector<uint64_t>& rows) {
  std::vector<at::Tensor> all;
  for (const uint64_t row : rows) {
    all.push_back((at::arange(kChunks * kChunk) * 5 + static_cast<int64_t>(row)).remainder(kVocab));
  }
  return at::stack(all);
}

Net Calm(jobs::HeadKind head, jobs::InputKind input) {
  jobs::ModelSpec spec;
  spec.head = head;
  spec.input = input;
  spec.hidden_size = 8;
  spec.intermediate_size = 6;
  spec.layers = 2;
  spec.attention_heads = 2;
  spec.head_layers = 1;
  spec.samples = 3;
  const auto net = std::make_shared<model::CalmModel>(spec, kChunk, kLatent, kVocab);
  return {net->units(), [net](const std::vector<uint64_t>& rows) {
            const int64_t count = static_cast<int64_t>(rows.size());
            const model::NoiseRows noise{1, NoiseStream::kHeadNoise, 0, rows};
            const at::Tensor means = noise.Normal({kChunks, kLatent}, 1 << 20);
            const at::Tensor hidden = net->Backbone(TokensOf(rows).view({count, kChunks, kChunk}),
                                                    net->SeesLatents() ? means : at::Tensor());
            const model::Posterior next = {means.flatten(0, 1).contiguous(),
                                           at::full({count * kChunks, kLatent}, -1.0)};
            return net->HeadLoss(hidden, next, noise).loss.sum();
          }};
}

Net Baseline(bool tied) {
  jobs::ModelSpec spec;
  spec.head = jobs::HeadKind::kSoftmax;
  spec.tie_embeddings = tied;
  spec.hidden_size = 8;
  spec.intermediate_size = 6;
  spec.layers = 2;
  spec.attention_heads = 2;
  const auto net = std::make_shared<model::BaselineModel>(spec, kVocab);
  return {net->units(), [net](const std::vector<uint64_t>& rows) {
            return net->Logits(TokensOf(rows)).log_softmax(-1).square().mean({1, 2}).sum();
          }};
}

std::vector<std::pair<std::string, MakeNet>> Networks() {
  using jobs::HeadKind, jobs::InputKind;
  return {{"energy", [] { return Calm(HeadKind::kEnergy, InputKind::kDiscrete); }},
          {"flow", [] { return Calm(HeadKind::kFlow, InputKind::kBoth); }},
          {"diffusion", [] { return Calm(HeadKind::kDiffusion, InputKind::kContinuous); }},
          {"softmax", [] { return Baseline(false); }},
          {"tied", [] { return Baseline(true); }}};
}

std::vector<std::vector<float>> PlainGradients(const MakeNet& make) {
  const Net net = make();
  for (model::Unit* unit : net.units) {
    unit->Materialise();
    model::Initialise(*unit, jobs::InitRule::kFanIn, 0.5, kSeed);
  }
  net.loss({0, 1, 2}).backward();
  std::vector<std::vector<float>> flat;
  for (model::Unit* unit : net.units) {
    flat.emplace_back();
    for (model::Parameter& parameter : unit->parameters()) {
      at::Tensor gradient = parameter.value.grad();
      if (!gradient.defined()) gradient = at::zeros(parameter.shape);
      gradient = gradient.contiguous();
      flat.back().insert(flat.back().end(), gradient.data_ptr<float>(),
                         gradient.data_ptr<float>() + gradient.numel());
    }
  }
  return flat;
}

// The same of three ranks, each with one of the rows, put together from their float32 shards.
std::vector<std::vector<float>> ShardedGradients(const MakeNet& make, const FsdpOptions& options) {
  std::vector<std::vector<float>> flat;
  std::mutex mutex;
  cluster::RunInProcessGang(3, [&](cluster::Collectives& collectives) {
    const Net net = make();
    Fsdp fsdp(net.units, &collectives, *PlanShards(options.sharding, collectives), options);
    fsdp.Initialise(jobs::InitRule::kFanIn, 0.5, kSeed);
    fsdp.BeginStep();
    fsdp.BeginPass(/*is_last=*/true);
    net.loss({static_cast<uint64_t>(collectives.rank())}).backward();
    ASSERT_TRUE(fsdp.FinishPass().ok());
    const std::lock_guard lock(mutex);
    flat.resize(net.units.size());
    for (size_t u = 0; u < flat.size(); ++u) {
      const UnitShard& shard = *fsdp.shards()[u];
      EXPECT_EQ(shard.value.scalar_type(), at::kFloat);
      flat[u].resize(net.units[u]->numel());
      const auto* gradient = shard.gradient.const_data_ptr<float>();
      for (int64_t i = 0; i < shard.gradient.numel(); ++i) {
        if (shard.first + i < std::ssize(flat[u])) flat[u][shard.first + i] = gradient[i];
      }
    }
  });
  return flat;
}

TEST(ShardedNetworks, GradientsEqualTheWholeOnes) {
  for (const auto& [name, make] : Networks()) {
    SCOPED_TRACE(name);
    const auto expected = PlainGradients(make);
    const auto gradients = ShardedGradients(make, {});
    ASSERT_EQ(gradients.size(), expected.size());
    double largest = 0;
    for (size_t u = 0; u < expected.size(); ++u) {
      ASSERT_EQ(gradients[u].size(), expected[u].size());
      for (size_t i = 0; i < expected[u].size(); ++i) {
        const double wanted = expected[u][i];
        largest = std::max(largest, std::abs(wanted));
        EXPECT_NEAR(gradients[u][i], wanted, 1e-4 * (1 + std::abs(wanted)))
            << "unit " << u << " element " << i;
      }
    }
    EXPECT_GT(largest, 1e-3);
  }
}

// bfloat16 has 8 bits of mantissa: gradients of the whole network point the same way, and shards
// stay float32.
TEST(ShardedNetworks, GradientsInBFloat16PointTheSameWay) {
  for (const auto& [name, make] : Networks()) {
    SCOPED_TRACE(name);
    const auto expected = PlainGradients(make);
    const auto gradients = ShardedGradients(make, {.gather_type = at::kBFloat16});
    ASSERT_EQ(gradients.size(), expected.size());
    double product = 0, squares = 0, expected_squares = 0;
    for (size_t u = 0; u < expected.size(); ++u) {
      ASSERT_EQ(gradients[u].size(), expected[u].size());
      for (size_t i = 0; i < expected[u].size(); ++i) {
        const double wanted = expected[u][i], gradient = gradients[u][i];
        product += wanted * gradient;
        squares += gradient * gradient;
        expected_squares += wanted * wanted;
      }
    }
    EXPECT_GT(product / std::sqrt(squares * expected_squares), 0.999);
    EXPECT_NEAR(std::sqrt(squares / expected_squares), 1, 0.02);
    EXPECT_NE(squares, expected_squares) << "something was rounded";
  }
}

}  // namespace
}  // namespace halcyon::worker
