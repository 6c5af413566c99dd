// The probe of an imported checkpoint against float64 loops over the published names.
#include "worker/reference/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/philox.h"
#include "storage/weights/safetensors.h"
#include "tests/model/energy/energy_oracle.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/reference/published_checkpoint.h"
#include "worker/reference/reference_import.h"

namespace halcyon::worker {
namespace {

using storage::DType;
using ::testing::HasSubstr;
using Shape = std::vector<int64_t>;

constexpr double kTolerance = 1e-4;  // of the largest value
constexpr int64_t kBatch = 2, kChunks = 4, kSteps = kChunks - 1;

Vector Join(const std::vector<Vector>& rows) {
  Vector all;
  for (const Vector& row : rows) all.insert(all.end(), row.begin(), row.end());
  return all;
}

class ProbeTest : public ::testing::Test {
 protected:
  Env& env_ = *Env::Posix();
  testing::TempDir dir_;
  uint64_t shard_bytes_max_ = storage::kShardBytesMax;
  std::string probed_ = dir_.Path("imported");
  std::map<std::string, std::string> bytes_;  // of the inputs
  std::vector<storage::TensorView> inputs_;
  std::vector<int64_t> tokens_;
  uint64_t next_ = 0;

  // With the autoencoder's config.json beside it: its epsilon is in no tensor.
  void Import(const PublishedCheckpoint& published) {
    published.WriteTorch(dir_.Path("published"));
    std::string autoencoder;
    if (published.config()["architectures"][0] != "LlamaForCausalLM") {
      autoencoder = dir_.Path("autoencoder");
      published.AutoencoderAlone().WriteTorch(autoencoder);
    }
    const auto facts = ImportReference(env_, dir_.Path("published"), autoencoder,
                                       dir_.Path("imported"), shard_bytes_max_);
    ASSERT_TRUE(facts.ok()) << facts.status();
  }

  void Put(const std::string& name, DType dtype, const Shape& shape, std::string bytes) {
    bytes_[name] = std::move(bytes);
    std::erase_if(inputs_, [&](const auto& view) { return view.name == name; });
    inputs_.push_back({name, dtype, shape, bytes_[name]});
  }
  void PutIntegers(const std::string& name, const Shape& shape,
                   const std::vector<int64_t>& values) {
    Put(name, DType::kI64, shape,
        {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int64_t)});
  }
  Vector PutFloats(const std::string& name, const Shape& shape, std::vector<float> values) {
    Put(name, DType::kF32, shape,
        {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
    return {values.begin(), values.end()};
  }
  Vector PutNormal(const std::string& name, const Shape& shape) {
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    std::vector<float> values(static_cast<size_t>(count));
    PhiloxStream(9, NoiseStream::kEvaluation, 0, next_++).FillNormal(0, values);
    return PutFloats(name, shape, values);
  }
  void PutTokens(const PublishedCheckpoint& published, int64_t row) {
    tokens_.clear();
    const PhiloxStream stream(3, NoiseStream::kEvaluation, 0, 0);
    for (int64_t i = 0; i < kBatch * row; ++i) {
      tokens_.push_back(static_cast<int64_t>(
          stream.Below(static_cast<uint64_t>(i), static_cast<uint64_t>(published.sizes().vocab))));
    }
    PutIntegers("tokens", {kBatch, row}, tokens_);
  }
  std::vector<std::vector<int64_t>> Chunks(int64_t row, int64_t count, int64_t size) const {
    std::vector<std::vector<int64_t>> chunks;
    for (int64_t t = 0; t < count; ++t) {
      const auto first = tokens_.begin() + (row * kChunks + t) * size;
      chunks.emplace_back(first, first + size);
    }
    return chunks;
  }

  absl::Status Run() {
    const std::string in = dir_.Path("in"), out = dir_.Path("out");
    EXPECT_TRUE(storage::WriteSafetensors(env_, in, inputs_, {}).ok());
    RETURN_IF_ERROR(Probe(env_, probed_, in, out).status());
    ASSIGN_OR_RETURN(outputs_, storage::SafetensorsFile::Open(env_, out));
    return absl::OkStatus();
  }

  void ExpectOutput(const std::string& name, const Shape& shape, const Vector& expected) {
    const auto entry = outputs_->Find(name);
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_EQ(entry->dtype, DType::kF32) << name;
    EXPECT_EQ(entry->shape, shape) << name;
    const std::string bytes = *outputs_->Read(name);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    ASSERT_EQ(values.size(), expected.size()) << name;
    double largest = 0;
    for (const double value : expected) largest = std::max(largest, std::abs(value));
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(values[i], expected[i], kTolerance * largest) << name << " " << i;
    }
  }

  // Everything that a language model and its autoencoder give for `tokens_`; the hidden states.
  std::vector<Vector> ExpectCommon(const PublishedCheckpoint& published) {
    const PublishedSizes& s = published.sizes();
    std::vector<Vector> means, log_stds, logits, inputs, hidden;
    for (int64_t b = 0; b < kBatch; ++b) {
      for (const auto& chunk : Chunks(b, kChunks, s.chunk)) {
        const Vector both = published.Encode(chunk);
        means.push_back({both.begin(), both.begin() + s.latent});
        log_stds.push_back({both.begin() + s.latent, both.end()});
        logits.push_back(published.Decode(means.back()));
      }
      const auto of_row = published.Inputs(Chunks(b, kSteps, s.chunk));
      inputs.insert(inputs.end(), of_row.begin(), of_row.end());
      for (const Vector& state : published.Hidden(of_row)) hidden.push_back(state);
    }
    ExpectOutput("ae.mean", {kBatch, kChunks, s.latent}, Join(means));
    ExpectOutput("ae.log_std", {kBatch, kChunks, s.latent}, Join(log_stds));
    ExpectOutput("ae.logits", {kBatch, kChunks * s.chunk, s.vocab}, Join(logits));
    ExpectOutput("lm.inputs", {kBatch, kSteps, s.width}, Join(inputs));
    ExpectOutput("lm.hidden", {kBatch, kSteps, s.width}, Join(hidden));
    return hidden;
  }

  std::unique_ptr<storage::SafetensorsFile> outputs_;
};

TEST_F(ProbeTest, EnergyModel) {
  PublishedSizes s;
  // One head for each query; standard deviations near 1, for the oracle of the target term.
  s.shared_heads = s.heads;
  PublishedCheckpoint published("EnergyTransformer", s);
  for (double& value : published.at("ae_model.encoder.hidden_to_latent.weight")) value /= 8;
  Import(published);
  PutTokens(published, kChunks * s.chunk);
  constexpr int64_t kSamples = 3;
  const Vector noise = PutNormal("noise", {kSamples, kBatch, kSteps, s.noise});
  ASSERT_TRUE(Run().ok());
  const std::vector<Vector> hidden = ExpectCommon(published);

  std::vector<Vector> samples;
  for (int64_t i = 0; i < kSamples * kBatch * kSteps; ++i) {
    const Vector own(noise.begin() + i * s.noise, noise.begin() + (i + 1) * s.noise);
    samples.push_back(published.EnergySample(hidden[i % (kBatch * kSteps)], own));
  }
  ExpectOutput("head.samples", {kSamples, kBatch, kSteps, s.latent}, Join(samples));
  Vector targets, spreads;
  double energy = 0;
  for (int64_t p = 0; p < kBatch * kSteps; ++p) {
    const Vector both = published.Encode(Chunks(p / kSteps, kChunks, s.chunk)[p % kSteps + 1]);
    const auto distance = [&](const Vector& a, const Vector& b) {
      double sum = 0;
      for (size_t i = 0; i < a.size(); ++i) sum += std::pow(a[i] - b[i], 2);
      return std::pow(sum, s.alpha / 2);
    };
    double target = 0, spread = 0;
    for (int64_t n = 0; n < kSamples; ++n) {
      const Vector& sample = samples[n * kBatch * kSteps + p];
      Vector offset, std;
      for (int64_t i = 0; i < s.latent; ++i) {
        offset.push_back(sample[i] - both[i]);
        std.push_back(std::exp(both[s.latent + i]));
      }
      target += model::ExpectedDistancePower(offset, std, s.alpha) / kSamples;
      for (int64_t m = 0; m < kSamples; ++m) {
        spread += distance(sample, samples[m * kBatch * kSteps + p]) / (kSamples * (kSamples - 1));
      }
    }
    targets.push_back(target);
    spreads.push_back(spread);
    energy += (2 * target - spread) / (kBatch * kSteps);
  }
  ExpectOutput("loss.target", {kBatch, kSteps}, targets);
  ExpectOutput("loss.spread", {kBatch, kSteps}, spreads);
  ExpectOutput("loss.energy", {}, {energy});
}

TEST_F(ProbeTest, FlowModelWithGroupedHeads) {
  const PublishedCheckpoint published("FlowTransformer", {});
  const PublishedSizes& s = published.sizes();
  Import(published);
  PutTokens(published, kChunks * s.chunk);
  const std::vector<float> times = {0.0f, 0.25f, 0.7004f, 0.9995f};
  const auto points = static_cast<int64_t>(times.size());
  const Vector noisy = PutNormal("head.x_t", {points, s.latent});
  const Vector given = PutNormal("head.hidden", {points, s.width});
  PutFloats("head.t", {points}, times);
  const Vector start = PutNormal("head.start", {2, kBatch, kSteps, s.latent});
  ASSERT_TRUE(Run().ok());
  const std::vector<Vector> hidden = ExpectCommon(published);
  Vector predictions, samples;
  for (int64_t p = 0; p < points; ++p) {
    const Vector of_point =
        published.Denoise({noisy.begin() + p * s.latent, noisy.begin() + (p + 1) * s.latent},
                          static_cast<int64_t>(1000 * times[p]),
                          {given.begin() + p * s.width, given.begin() + (p + 1) * s.width});
    predictions.insert(predictions.end(), of_point.begin(), of_point.end());
  }
  ExpectOutput("head.prediction", {points, s.latent}, predictions);
  for (int64_t i = 0; i < 2 * kBatch * kSteps; ++i) {
    Vector x(start.begin() + i * s.latent, start.begin() + (i + 1) * s.latent);
    for (int64_t step = 0; step < 10; ++step) {
      const Vector& state = hidden[i % (kBatch * kSteps)];
      const Vector slope = published.Denoise(x, 100 * step, state);
      Vector middle = x;
      for (size_t j = 0; j < x.size(); ++j) middle[j] += 0.05 * slope[j];
      const Vector velocity = published.Denoise(middle, 100 * step + 50, state);
      for (size_t j = 0; j < x.size(); ++j) x[j] += 0.1 * velocity[j];
    }
    samples.insert(samples.end(), x.begin(), x.end());
  }
  ExpectOutput("head.samples", {2, kBatch, kSteps, s.latent}, samples);
}

TEST_F(ProbeTest, DiffusionModelOfOneTokenChunks) {
  PublishedSizes s;
  s.chunk = 1;
  s.latent = 2;
  s.encoder_layers = 2;
  s.blocks = 1;
  const PublishedCheckpoint published("DiffusionTransformer", s);
  Import(published);
  PutTokens(published, kChunks);
  const std::vector<int64_t> times = {0, 1, 500, 999};
  const auto points = static_cast<int64_t>(times.size());
  const Vector noisy = PutNormal("head.x_t", {points, s.latent});
  const Vector given = PutNormal("head.hidden", {points, s.width});
  PutIntegers("head.t", {points}, times);
  ASSERT_TRUE(Run().ok());
  ExpectCommon(published);
  Vector predictions;
  for (int64_t p = 0; p < points; ++p) {
    const Vector of_point = published.Denoise(
        {noisy.begin() + p * s.latent, noisy.begin() + (p + 1) * s.latent}, times[p],
        {given.begin() + p * s.width, given.begin() + (p + 1) * s.width});
    predictions.insert(predictions.end(), of_point.begin(), of_point.end());
  }
  ExpectOutput("head.prediction", {points, 2 * s.latent}, predictions);
}

TEST_F(ProbeTest, Baseline) {
  for (const bool tied : {false, true}) {
    PublishedSizes s;
    s.tied = tied;
    // Once from shards, named by the artifact's own folder.
    if (tied) shard_bytes_max_ = 2000, probed_ = dir_.Path("imported/model");
    const PublishedCheckpoint published("LlamaForCausalLM", s);
    ASSERT_TRUE(env_.RemoveTree(dir_.Path("imported")).ok());
    Import(published);
    PutTokens(published, kChunks);
    ASSERT_TRUE(Run().ok());
    std::vector<Vector> logits;
    double loss = 0;
    for (int64_t b = 0; b < kBatch; ++b) {
      const std::vector<int64_t> row(tokens_.begin() + b * kChunks,
                                     tokens_.begin() + (b + 1) * kChunks);
      for (const Vector& of_token : published.BaselineLogits(row)) {
        const size_t t = logits.size() % kChunks;
        logits.push_back(of_token);
        if (t + 1 == row.size()) continue;
        double sum = 0;
        for (const double value : of_token) sum += std::exp(value);
        loss += (std::log(sum) - of_token[row[t + 1]]) / (kBatch * (kChunks - 1));
      }
    }
    ExpectOutput("lm.logits", {kBatch, kChunks, s.vocab}, Join(logits));
    ExpectOutput("loss.cross_entropy", {}, {loss});
  }
}

TEST_F(ProbeTest, InputsThatDoNotFitAreNamed) {
  const PublishedCheckpoint published("FlowTransformer", {});
  const PublishedSizes& s = published.sizes();
  Import(published);
  const auto refused = [&](const std::string& reason) {
    const absl::Status status = Run();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr(reason));
  };
  refused("input tokens is missing");
  PutIntegers("tokens", {1, 6}, {0, 1, 2, 3, 4, s.vocab});
  refused("input tokens has values outside 0 to 22");
  PutIntegers("tokens", {1, 4}, {0, 1, 2, 3});
  refused("input tokens has 4 a row, expected a multiple of 3");
  PutNormal("tokens", {1, 6});
  refused("input tokens is F32 [1, 6], expected I64 [-1, -1]");
  PutTokens(published, kChunks * s.chunk);
  PutNormal("head.x_t", {2, s.latent});
  refused("input head.t is missing");
  PutNormal("head.t", {3});
  refused("input head.t is F32 [3], expected F32 [2]");
  PutFloats("head.t", {2}, {0.5f, 1.0f});
  PutNormal("head.hidden", {2, s.width});
  refused("input head.t has values outside 0 to 1");
  PutFloats("head.t", {2}, {0.5f, 0.0f});
  PutNormal("noise", {2, kBatch, kSteps, s.noise});
  refused("input noise is not one that this network takes");
}

}  // namespace
}  // namespace halcyon::worker
