// A tiny checkpoint as the published code would leave it, made from that code's names and shapes
// alone, and its networks as plain float64 loops over those names: the independent computation that
// imports and probes are compared with.
#ifndef HALCYON_TESTS_WORKER_REFERENCE_PUBLISHED_CHECKPOINT_H_
#define HALCYON_TESTS_WORKER_REFERENCE_PUBLISHED_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace halcyon::worker {

using Vector = std::vector<double>;

struct PublishedSizes {
  int64_t vocab = 23, chunk = 3, latent = 5;
  int64_t ae_width = 8, ae_inner = 12, encoder_layers = 4, decoder_layers = 2;
  int64_t width = 24, inner = 20, layers = 2, heads = 6, shared_heads = 2;
  int64_t blocks = 2, noise = 4;
  double epsilon = 1e-5, ae_epsilon = 1e-4, theta = 100, alpha = 1.25;
  bool tied = false;
};

class PublishedCheckpoint {
 public:
  // `architecture`: as in config.json.
  PublishedCheckpoint(std::string architecture, PublishedSizes sizes, uint64_t seed = 1);

  // --- files ---

  nlohmann::json config() const;
  nlohmann::json autoencoder_config() const;
  // Names that stand for another name's tensor.
  const std::map<std::string, std::string>& aliases() const { return aliases_; }
  const std::map<std::string, std::vector<int64_t>>& shapes() const { return shapes_; }
  Vector& at(const std::string& name) { return values_.at(name); }
  void Remove(const std::string& name) { shapes_.erase(name), aliases_.erase(name); }
  void Add(const std::string& name, std::vector<int64_t> shape);
  // Folders get config.json and pytorch_model.bin, aliases sharing a storage; or two shards of
  // safetensors with an index, aliases left out.
  void WriteTorch(const std::string& dir) const;
  void WriteShards(const std::string& dir) const;
  // The autoencoder of a language model as a checkpoint of its own.
  PublishedCheckpoint AutoencoderAlone() const;
  const PublishedSizes& sizes() const { return sizes_; }

  // --- the networks ---

  // K tokens -> mean, then log_std.
  Vector Encode(const std::vector<int64_t>& tokens) const;
  // -> logits [K * vocab].
  Vector Decode(const Vector& latent) const;
  // Chunks of tokens -> what the blocks are given, and the hidden states after the final norm.
  std::vector<Vector> Inputs(const std::vector<std::vector<int64_t>>& chunks) const;
  std::vector<Vector> Hidden(const std::vector<Vector>& inputs) const;
  Vector EnergySample(const Vector& hidden, const Vector& noise) const;
  // The network of flow and diffusion, `time` a whole number.
  Vector Denoise(const Vector& noisy, int64_t time, const Vector& hidden) const;
  // Single tokens -> logits after each.
  std::vector<Vector> BaselineLogits(const std::vector<int64_t>& tokens) const;

 private:
  void AddLinear(const std::string& name, int64_t out, int64_t in, bool bias);
  void AddNorm(const std::string& name, int64_t width, bool bias);
  void AddAutoencoder(const std::string& prefix);
  void AddBackbone(const std::string& prefix);
  void AddHead();

  Vector Linear(const std::string& name, const Vector& x) const;
  Vector RmsNorm(const std::string& name, const Vector& x, double epsilon) const;
  Vector LayerNorm(const std::string& name, const Vector& x) const;
  Vector GatedMlp(const std::string& name, const Vector& x) const;
  Vector Row(const std::string& table, int64_t row, int64_t width) const;
  std::vector<Vector> Attend(const std::string& name, const std::vector<Vector>& normed) const;

  std::string architecture_;
  PublishedSizes sizes_;
  uint64_t seed_, next_ = 0;
  std::string ae_, backbone_;  // prefixes
  std::map<std::string, std::vector<int64_t>> shapes_;
  std::map<std::string, Vector> values_;
  std::map<std::string, std::string> aliases_;
};

}  // namespace halcyon::worker

#endif  // HALCYON_TESTS_WORKER_REFERENCE_PUBLISHED_CHECKPOINT_H_
