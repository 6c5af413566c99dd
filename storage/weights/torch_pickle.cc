#include "storage/weights/torch_pickle.h"

#include <optional>
#include <utility>

#include "storage/strict_json.h"
#include "storage/weights/pickle_machine.h"

namespace halcyon::storage {
namespace {

constexpr std::pair<std::string_view, DType> kStorageTypes[] = {
    {"torch.DoubleStorage", DType::kF64}, {"torch.FloatStorage", DType::kF32},
    {"torch.HalfStorage", DType::kF16},   {"torch.BFloat16Storage", DType::kBF16},
    {"torch.LongStorage", DType::kI64},   {"torch.IntStorage", DType::kI32},
    {"torch.ShortStorage", DType::kI16},  {"torch.CharStorage", DType::kI8},
    {"torch.ByteStorage", DType::kU8},    {"torch.BoolStorage", DType::kBool}};
constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";
// Shapes are copied for each tensor that uses them; LibTorch's own limit.
constexpr size_t kDimensionsMax = 64;
// Keys of storages, which are copied likewise, are small numbers.
constexpr size_t kKeyBytesMax = 64;

std::optional<DType> StorageType(std::string_view name) {
  for (const auto& [known, dtype] : kStorageTypes) {
    if (known == name) return dtype;
  }
  return std::nullopt;
}

std::string Printable(std::string_view text) {
  std::string printable;
  for (const char c : text.substr(0, 80)) printable += c >= ' ' && c <= '~' ? c : '?';
  return printable;
}

class StateDictMachine final : private PickleMachine {
 public:
  explicit StateDictMachine(std::string_view stream) : PickleMachine(stream) {}

  absl::StatusOr<std::map<std::string, TorchTensor>> Tensors() {
    ASSIGN_OR_RETURN(const Ref ref, Run());
    const Value& root = at(ref);
    if (root.kind != Kind::kDict) return Refused("something else than a dict");
    std::map<std::string, TorchTensor> tensors;
    for (size_t i = 0; i + 1 < root.items.size(); i += 2) {
      const Value& key = at(root.items[i]);
      if (key.kind != Kind::kText) return Refused("a name that is no text");
      const Object* object = ObjectAt(root.items[i + 1]);
      if (object == nullptr || !object->is_tensor) {
        return Refused("\"" + Printable(key.text) + "\", which is no tensor");
      }
      if (!tensors.emplace(key.text, object->tensor).second) {
        return Damaged("the tensor \"" + Printable(key.text) + "\" is there twice");
      }
    }
    return tensors;
  }

 private:
  // A storage, or a tensor in one.
  struct Object {
    TorchTensor tensor;
    bool is_tensor = false;
  };

  const Object* ObjectAt(Ref ref) const {
    const Value& value = at(ref);
    return value.kind == Kind::kObject ? &objects_[static_cast<size_t>(value.integer)] : nullptr;
  }

  absl::StatusOr<Ref> MakeObject(Object object) {
    objects_.push_back(std::move(object));
    return Make({Kind::kObject, static_cast<int64_t>(objects_.size() - 1), {}, {}});
  }

  absl::Status Admit(const std::string& path) override {
    if (path == kOrderedDict || path == kRebuildTensor || path == kRebuildParameter ||
        StorageType(path)) {
      return absl::OkStatus();
    }
    return Refused("\"" + Printable(path) + "\"");
  }

  absl::StatusOr<Ref> Call(const std::string& function,
                           const std::vector<Ref>& arguments) override {
    if (function == kOrderedDict) {
      if (!arguments.empty()) return Refused("an ordered dict made of arguments");
      return Make({Kind::kDict, 0, {}, {}});
    }
    if (function == kRebuildTensor) return RebuildTensor(arguments);
    const Object* data = arguments.empty() ? nullptr : ObjectAt(arguments[0]);
    if (function == kRebuildParameter && data != nullptr && data->is_tensor) return arguments[0];
    return Damaged("a call with wrong arguments");
  }

  // ("storage", type, key, location, number of elements).
  absl::StatusOr<Ref> Persistent(Ref id) override {
    constexpr Kind kKinds[] = {Kind::kText, Kind::kName, Kind::kText, Kind::kText, Kind::kInteger};
    const std::vector<Ref>& items = at(id).items;
    bool good = at(id).kind == Kind::kTuple && items.size() == std::size(kKinds);
    for (size_t i = 0; good && i < items.size(); ++i) good = at(items[i]).kind == kKinds[i];
    if (!good || at(items[0]).text != "storage" || at(items[4]).integer < 0 ||
        at(items[2]).text.size() > kKeyBytesMax) {
      return Damaged("a storage's description has another form");
    }
    const auto dtype = StorageType(at(items[1]).text);
    if (!dtype) return Damaged("a storage of no type");
    Object storage;
    storage.tensor.dtype = *dtype;
    storage.tensor.storage = at(items[2]).text;
    storage.tensor.storage_elements = static_cast<uint64_t>(at(items[4]).integer);
    return MakeObject(std::move(storage));
  }

  // (storage, offset, shape, strides, requires_grad, hooks, ...).
  absl::StatusOr<Ref> RebuildTensor(const std::vector<Ref>& arguments) {
    const Object* storage = arguments.size() < 6 ? nullptr : ObjectAt(arguments[0]);
    if (storage == nullptr || storage->is_tensor || at(arguments[1]).kind != Kind::kInteger ||
        at(arguments[1]).integer < 0) {
      return Damaged("a tensor's description has another form");
    }
    Object object{storage->tensor, /*is_tensor=*/true};
    object.tensor.offset = static_cast<uint64_t>(at(arguments[1]).integer);
    ASSIGN_OR_RETURN(object.tensor.shape, Integers(arguments[2]));
    ASSIGN_OR_RETURN(object.tensor.strides, Integers(arguments[3]));
    RETURN_IF_ERROR(CheckPlace(object.tensor));
    return MakeObject(std::move(object));
  }

  absl::StatusOr<std::vector<int64_t>> Integers(Ref ref) const {
    if (at(ref).kind != Kind::kTuple || at(ref).items.size() > kDimensionsMax) {
      return Damaged("a shape is no tuple, or too long a one");
    }
    std::vector<int64_t> integers;
    for (const Ref item : at(ref).items) {
      if (at(item).kind != Kind::kInteger) return Damaged("a shape is not of integers");
      integers.push_back(at(item).integer);
    }
    return integers;
  }

  // The last element must lie within the storage.
  static absl::Status CheckPlace(const TorchTensor& tensor) {
    if (tensor.strides.size() != tensor.shape.size()) return Damaged("strides of another rank");
    ASSIGN_OR_RETURN(const uint64_t elements, ElementCount(tensor.shape));
    if (elements == 0) return absl::OkStatus();
    uint64_t last = tensor.offset;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      const auto steps = static_cast<uint64_t>(tensor.shape[i] - 1);
      uint64_t reach = 0;
      if (tensor.strides[i] < 0 ||
          __builtin_mul_overflow(steps, static_cast<uint64_t>(tensor.strides[i]), &reach) ||
          __builtin_add_overflow(last, reach, &last)) {
        return Damaged("a tensor's strides are negative or overflow");
      }
    }
    if (last >= tensor.storage_elements || elements > tensor.storage_elements) {
      return Damaged("a tensor of " + std::to_string(elements) + " elements reaches element " +
                     std::to_string(last) + " of a storage of " +
                     std::to_string(tensor.storage_elements));
    }
    return absl::OkStatus();
  }

  std::vector<Object> objects_;
};

}  // namespace

absl::StatusOr<std::map<std::string, TorchTensor>> ParseTorchPickle(std::string_view stream) {
  return StateDictMachine(stream).Tensors();
}

}  // namespace halcyon::storage
