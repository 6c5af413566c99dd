#include "worker/reference/probe.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/output_file.h"
#include "model/energy/energy_loss.h"
#include "model/heads/diffusion_head.h"
#include "model/heads/diffusion_schedule.h"
#include "model/heads/energy_head.h"
#include "model/heads/flow_head.h"
#include "model/to_device.h"
#include "storage/weights/safetensors.h"
#include "worker/inputs/artifacts.h"
#include "worker/inputs/network_file.h"
#include "worker/torch_fault.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;
using storage::DType;

// Midpoint steps from `head.start`, whatever the model samples with.
constexpr int64_t kFlowSteps = 10;
constexpr int64_t kAny = -1;

// The tensors given, each to be taken with the type and the shape that the network needs.
class ProbeInputs {
 public:
  explicit ProbeInputs(c10::Device device) : device_(device) {}
  absl::Status Open(Env& env, const std::string& path) {
    ASSIGN_OR_RETURN(file_, storage::SafetensorsFile::Open(env, path));
    return absl::OkStatus();
  }

  bool Has(const std::string& name) const { return file_->header().tensors.contains(name); }

  // `shape`: kAny for an extent that the input decides.
  absl::StatusOr<at::Tensor> Take(const std::string& name, DType dtype,
                                  const std::vector<int64_t>& shape) {
    if (!Has(name))
      return InvalidArgument(fmt::format("{}: input {} is missing", file_->path(), name));
    taken_.insert(name);
    const storage::TensorEntry entry = *file_->Find(name);
    bool fits = entry.dtype == dtype && entry.shape.size() == shape.size();
    for (size_t i = 0; fits && i < shape.size(); ++i) {
      fits = shape[i] == kAny ? entry.shape[i] > 0 : entry.shape[i] == shape[i];
    }
    if (!fits) {
      return InvalidArgument(fmt::format("{}: input {} is {} {}, expected {} {} (-1: any)",
                                         file_->path(), name, storage::NameOf(entry.dtype),
                                         ShapeText(entry.shape), storage::NameOf(dtype),
                                         ShapeText(shape)));
    }
    ASSIGN_OR_RETURN(const std::string bytes, file_->Read(name));
    at::Tensor tensor = at::empty(entry.shape, dtype == DType::kI64 ? at::kLong : at::kFloat);
    if (!bytes.empty()) std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
    return model::ToDevice(tensor, device_);
  }

  // Of an int64 tensor: every value in 0 ... end - 1.
  absl::Status CheckRange(const std::string& name, const at::Tensor& values, int64_t end) const {
    if (values.min().item<int64_t>() >= 0 && values.max().item<int64_t>() < end) {
      return absl::OkStatus();
    }
    return InvalidArgument(
        fmt::format("{}: input {} has values outside 0 to {}", file_->path(), name, end - 1));
  }

  absl::Status RefuseOthers() const {
    for (const auto& [name, entry] : file_->header().tensors) {
      if (!taken_.contains(name)) {
        return InvalidArgument(
            fmt::format("{}: input {} is not one that this network takes", file_->path(), name));
      }
    }
    return absl::OkStatus();
  }

 private:
  const c10::Device device_;
  std::unique_ptr<storage::SafetensorsFile> file_;
  std::set<std::string> taken_;
};

class Prober {
 public:
  Prober(ProbeInputs* inputs, c10::Device device) : device_(device), inputs_(*inputs) {}

  absl::Status OpenNetworks(Env& env, const std::string& dir) {
    std::string autoencoder_dir = JoinPath(dir, "autoencoder"), model_dir = JoinPath(dir, "model");
    if (HasWeights(env, dir)) {
      ASSIGN_OR_RETURN(const NetworkDescription description, DescribeNetwork(env, dir));
      const auto kind = description.metadata.find("kind");
      const bool is_autoencoder =
          kind != description.metadata.end() && kind->second == "autoencoder";
      (is_autoencoder ? autoencoder_dir : model_dir) = dir;
    }
    if (env.Exists(autoencoder_dir)) {
      ASSIGN_OR_RETURN(autoencoder_, OpenAutoencoder(env, autoencoder_dir, /*digest=*/"", device_));
    }
    if (env.Exists(model_dir)) {
      ASSIGN_OR_RETURN(model_, OpenModel(env, model_dir, /*digest=*/"", device_));
    }
    if (autoencoder_ == nullptr && model_.calm == nullptr && model_.baseline == nullptr) {
      return InvalidArgument(dir +
                             ": no autoencoder/ and no model/ there; give a folder that "
                             "`halcyon checkpoint import` wrote");
    }
    if (model_.calm != nullptr && autoencoder_ == nullptr) {
      return InvalidArgument(dir +
                             ": a model without its autoencoder; put their artifacts into "
                             "one folder as model/ and autoencoder/");
    }
    return absl::OkStatus();
  }

  absl::Status Run() {
    if (model_.baseline != nullptr) return RunBaseline();
    RETURN_IF_ERROR(RunAutoencoder());
    if (model_.calm == nullptr) return absl::OkStatus();
    RETURN_IF_ERROR(RunBackbone());
    const model::LatentHead* head = &model_.calm->head();
    if (const auto* energy = dynamic_cast<const model::EnergyHead*>(head))
      return RunEnergy(*energy);
    if (const auto* flow = dynamic_cast<const model::FlowHead*>(head)) return RunFlow(*flow);
    return RunDiffusion(dynamic_cast<const model::DiffusionHead&>(*head));
  }

  // Every output under its name, in float32.
  const std::map<std::string, at::Tensor>& outputs() const { return outputs_; }

 private:
  void Put(const std::string& name, const at::Tensor& tensor) {
    outputs_[name] = tensor.to(at::kFloat).cpu().contiguous();
  }

  absl::StatusOr<at::Tensor> TakeTokens(int64_t multiple, int64_t vocab_size, int64_t chunks_min) {
    ASSIGN_OR_RETURN(const at::Tensor tokens, inputs_.Take("tokens", DType::kI64, {kAny, kAny}));
    RETURN_IF_ERROR(inputs_.CheckRange("tokens", tokens, vocab_size));
    if (tokens.size(1) % multiple == 0 && tokens.size(1) / multiple >= chunks_min) return tokens;
    return InvalidArgument(
        fmt::format("input tokens has {} a row, expected a multiple of {}, {} "
                    "times or more",
                    tokens.size(1), multiple, chunks_min));
  }

  absl::Status RunBaseline() {
    ASSIGN_OR_RETURN(const at::Tensor tokens, TakeTokens(1, model_.vocab_size, 2));
    const at::Tensor logits = model_.baseline->Logits(tokens);
    Put("lm.logits", logits);
    const int64_t steps = tokens.size(1) - 1;
    Put("loss.cross_entropy",
        at::cross_entropy_loss(logits.narrow(1, 0, steps).reshape({-1, model_.vocab_size}),
                               tokens.narrow(1, 1, steps).reshape({-1})));
    return absl::OkStatus();
  }

  absl::Status RunAutoencoder() {
    const int64_t chunk_size = autoencoder_->spec().chunk_size;
    ASSIGN_OR_RETURN(const at::Tensor tokens, TakeTokens(chunk_size, autoencoder_->vocab_size(),
                                                         model_.calm == nullptr ? 1 : 2));
    batch_ = tokens.size(0);
    chunks_ = tokens.size(1) / chunk_size;
    tokens_ = tokens.view({batch_, chunks_, chunk_size});
    const model::Posterior posterior = autoencoder_->EncodeUnclamped(tokens.view({-1, chunk_size}));
    mean_ = posterior.mean.reshape({batch_, chunks_, -1});
    log_std_ = posterior.log_std.reshape({batch_, chunks_, -1});
    Put("ae.mean", mean_);
    Put("ae.log_std", log_std_);
    Put("ae.logits", autoencoder_->Decode(posterior.mean).view({batch_, chunks_ * chunk_size, -1}));
    return absl::OkStatus();
  }

  absl::Status RunBackbone() {
    model::CalmModel& calm = *model_.calm;
    const int64_t steps = chunks_ - 1;
    const at::Tensor tokens = tokens_.narrow(1, 0, steps);
    const at::Tensor latents = calm.SeesLatents() ? mean_.narrow(1, 0, steps) : at::Tensor();
    Put("lm.inputs", calm.Inputs(tokens, latents));
    const at::Tensor hidden = calm.FinalNorm(calm.Backbone(tokens, latents));
    Put("lm.hidden", hidden);
    hidden_ = hidden.reshape({batch_ * steps, -1});
    return absl::OkStatus();
  }

  absl::Status RunEnergy(const model::EnergyHead& head) {
    if (!inputs_.Has("noise")) return absl::OkStatus();
    const jobs::ModelSpec& spec = model_.calm->spec();
    const int64_t steps = chunks_ - 1;
    ASSIGN_OR_RETURN(const at::Tensor noise,
                     inputs_.Take("noise", DType::kF32, {kAny, batch_, steps, spec.noise_size}));
    const int64_t samples = noise.size(0);
    if (samples < 2) return InvalidArgument("input noise: the energy loss needs two samples");
    const at::Tensor drawn = head.FromNoise(hidden_, noise.view({-1, spec.noise_size}))
                                 .view({samples, batch_ * steps, -1});
    Put("head.samples", drawn.view({samples, batch_, steps, -1}));
    const auto next = [&](const at::Tensor& of_chunks) {
      return of_chunks.narrow(1, 1, steps).reshape({batch_ * steps, -1}).contiguous();
    };
    const model::EnergyTerms terms =
        model::ExactEnergyLoss(drawn.contiguous(), next(mean_), next(log_std_), spec.alpha);
    Put("loss.target", terms.target.view({batch_, steps}));
    Put("loss.spread", terms.spread.view({batch_, steps}));
    Put("loss.energy", (2 * terms.target - terms.spread).mean());
    return absl::OkStatus();
  }

  // The network alone at given points, when they are given.
  template <typename Predict>
  absl::Status RunDenoiser(DType time_type, const Predict& predict) {
    if (!inputs_.Has("head.x_t") && !inputs_.Has("head.t") && !inputs_.Has("head.hidden")) {
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const at::Tensor noisy,
                     inputs_.Take("head.x_t", DType::kF32, {kAny, model_.latent_size}));
    const int64_t points = noisy.size(0);
    ASSIGN_OR_RETURN(const at::Tensor times, inputs_.Take("head.t", time_type, {points}));
    ASSIGN_OR_RETURN(
        const at::Tensor hidden,
        inputs_.Take("head.hidden", DType::kF32, {points, model_.calm->spec().hidden_size}));
    if (time_type == DType::kI64) {
      RETURN_IF_ERROR(inputs_.CheckRange("head.t", times, model::kDiffusionSteps));
    } else if (!((times >= 0) & (times < 1)).all().item<bool>()) {
      return InvalidArgument("input head.t has values outside 0 to 1, 1 excluded");
    }
    Put("head.prediction",
        predict(noisy.unsqueeze(0), times.unsqueeze(0), hidden).view({points, -1}));
    return absl::OkStatus();
  }

  absl::Status RunFlow(const model::FlowHead& head) {
    RETURN_IF_ERROR(
        RunDenoiser(DType::kF32, [&](const auto& noisy, const auto& times, const auto& hidden) {
          return head.Velocity(noisy, times, hidden);
        }));
    if (!inputs_.Has("head.start")) return absl::OkStatus();
    const int64_t steps = chunks_ - 1, latent = model_.latent_size;
    ASSIGN_OR_RETURN(const at::Tensor start,
                     inputs_.Take("head.start", DType::kF32, {kAny, batch_, steps, latent}));
    const at::Tensor end = head.Solve(start.view({start.size(0), batch_ * steps, latent}), hidden_,
                                      jobs::FlowSolver::kMidpoint, kFlowSteps);
    Put("head.samples", end.view(start.sizes()));
    return absl::OkStatus();
  }

  absl::Status RunDiffusion(const model::DiffusionHead& head) {
    return RunDenoiser(DType::kI64, [&](const auto& noisy, const auto& times, const auto& hidden) {
      return head.Predict(noisy, times, hidden);
    });
  }

  const c10::Device device_;
  ProbeInputs& inputs_;
  std::unique_ptr<model::Autoencoder> autoencoder_;
  OpenedModel model_;
  int64_t batch_ = 0, chunks_ = 0;
  at::Tensor tokens_, mean_, log_std_;  // [batch, chunks, K or latent]
  at::Tensor hidden_;                   // [batch * (chunks - 1), width], after the final norm
  std::map<std::string, at::Tensor> outputs_;
};

absl::StatusOr<json> WriteOutputs(const std::string& path,
                                  const std::map<std::string, at::Tensor>& outputs) {
  std::vector<storage::TensorView> views;
  json shapes = json::object();
  for (const auto& [name, tensor] : outputs) {
    const std::string_view bytes(static_cast<const char*>(tensor.const_data_ptr()),
                                 tensor.nbytes());
    views.push_back({name, DType::kF32, tensor.sizes().vec(), bytes});
    shapes[name] = views.back().shape;
  }
  ASSIGN_OR_RETURN(const auto file, OutputFile::Open(path));
  RETURN_IF_ERROR(storage::AppendSafetensors(*file, path, views, {}).status());
  RETURN_IF_ERROR(file->Close());
  return json{{"output", path}, {"tensors", shapes}};
}

}  // namespace

absl::StatusOr<json> Probe(Env& env, const std::string& checkpoint, const std::string& inputs_path,
                           const std::string& output, c10::Device device) {
  const c10::NoGradGuard no_grad;
  // LibTorch reports its faults by exceptions; none leaves this function.
  try {
    ProbeInputs inputs(device);
    RETURN_IF_ERROR(inputs.Open(env, inputs_path));
    Prober prober(&inputs, device);
    RETURN_IF_ERROR(prober.OpenNetworks(env, checkpoint));
    RETURN_IF_ERROR(prober.Run());
    RETURN_IF_ERROR(inputs.RefuseOthers());
    return WriteOutputs(output, prober.outputs());
  } catch (const std::exception& error) {
    return TorchFault("LibTorch", error);
  }
}

}  // namespace halcyon::worker
