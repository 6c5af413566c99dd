// Parameters, grouped into the units that FSDP gathers at once.
//
// A network registers its parameters in units and, in its forward pass, calls Enter before the
// first use of a unit's parameters and Exit after the last one. Without hooks both do nothing; the
// sharder (worker/fsdp/fsdp.h) installs hooks that gather and free.
#ifndef HALCYON_MODEL_UNIT_H_
#define HALCYON_MODEL_UNIT_H_

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace halcyon::model {

// How a parameter starts (model/initialise.h draws it).
enum class InitKind {
  kWeight,     // a matrix [out, in]: the rule decides
  kEmbedding,  // a table [rows, width]: N(0, init_std)
  kZero,       // biases, and last layers whose output starts at zero
  kOne,        // scales of norms
};

struct Parameter {
  std::string name;  // unique in the network, e.g. "blocks.0.attention.query.weight"
  std::vector<int64_t> shape;
  InitKind init = InitKind::kWeight;
  bool decays = false;        // weight decay applies: matrices and tables, not biases and norms
  bool requires_grad = true;  // false: frozen; to be set before Materialise or the sharder
  at::Tensor value;           // float32; storage belongs to whoever materialised it
  int64_t numel() const;
};

class Unit;

// A unit's forward pass as a function of one tensor. Captures what else it uses by value: it may be
// called again in the backward pass.
using UnitFunction = std::function<at::Tensor(const at::Tensor& input)>;

class UnitHooks {
 public:
  virtual ~UnitHooks() = default;
  virtual void BeforeForward(Unit& unit) = 0;
  // Returns `output`, possibly with a gate in its autograd history.
  virtual at::Tensor AfterForward(Unit& unit, const at::Tensor& output) = 0;
  // Both around function(input).
  virtual at::Tensor Run(Unit& unit, const at::Tensor& input, const UnitFunction& function) {
    BeforeForward(unit);
    return AfterForward(unit, function(input));
  }
};

class Unit {
 public:
  explicit Unit(std::string name) : name_(std::move(name)) {}
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;

  // The parameter's address is stable. Its value is undefined until Materialise or the sharder.
  Parameter& Add(std::string name, std::vector<int64_t> shape, InitKind init);

  const std::string& name() const { return name_; }
  std::deque<Parameter>& parameters() { return parameters_; }
  int64_t numel() const;

  // Gives every parameter storage of its own (zeros): for inference and tests.
  void Materialise(c10::Device device = c10::kCPU);

  void set_hooks(UnitHooks* hooks) { hooks_ = hooks; }
  void Enter();
  at::Tensor Exit(const at::Tensor& output);
  // Enter, function(input), Exit: for a unit that is a function of one tensor, which lets the
  // sharder drop what its backward needs and compute it again.
  at::Tensor Run(const at::Tensor& input, const UnitFunction& function);

 private:
  std::string name_;
  std::deque<Parameter> parameters_;
  UnitHooks* hooks_ = nullptr;
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_UNIT_H_
