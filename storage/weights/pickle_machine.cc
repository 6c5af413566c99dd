#include "storage/weights/pickle_machine.h"

#include <bit>
#include <cstring>
#include <utility>

namespace halcyon::storage {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are read as they lie");

// Each value takes about a hundred bytes; a state dict of ten thousand tensors has some 300 000.
constexpr size_t kValuesMax = 1 << 22;
constexpr uint8_t kProtocolMax = 5;

}  // namespace

absl::Status PickleMachine::Damaged(std::string_view what) {
  return DataLoss("damaged pickle stream: " + std::string(what));
}

absl::Status PickleMachine::Refused(std::string_view what) {
  return InvalidArgument("holds " + std::string(what) +
                         "; only a dict from names to tensors is read, and nothing is executed");
}

absl::StatusOr<PickleMachine::Ref> PickleMachine::Run() {
  while (true) {
    ASSIGN_OR_RETURN(const auto opcode, Take<uint8_t>());
    if (opcode == '.') break;
    RETURN_IF_ERROR(Step(opcode));
  }
  if (stack_.size() != 1 || !marks_.empty()) return Damaged("it ends with an unfinished value");
  if (!rest_.empty()) return Damaged("bytes follow its end");
  return stack_[0];
}

// --- bytes of the stream ---

template <typename Number>
absl::StatusOr<Number> PickleMachine::Take() {
  if (rest_.size() < sizeof(Number)) return Damaged("it is cut off");
  Number number;
  std::memcpy(&number, rest_.data(), sizeof(number));
  rest_.remove_prefix(sizeof(number));
  return number;
}

absl::StatusOr<std::string> PickleMachine::TakeText(uint64_t bytes) {
  if (rest_.size() < bytes) return Damaged("it is cut off");
  std::string text(rest_.substr(0, bytes));
  rest_.remove_prefix(bytes);
  return text;
}

absl::StatusOr<std::string> PickleMachine::TakeLine() {
  const size_t end = rest_.find('\n');
  if (end == rest_.npos) return Damaged("it is cut off");
  ASSIGN_OR_RETURN(std::string line, TakeText(end));
  rest_.remove_prefix(1);
  return line;
}

// A little-endian number in two's complement, of as many bytes as its first byte says.
absl::StatusOr<int64_t> PickleMachine::TakeLong() {
  ASSIGN_OR_RETURN(const auto bytes, Take<uint8_t>());
  if (bytes > sizeof(int64_t)) return Refused("a number of more than 64 bits");
  ASSIGN_OR_RETURN(const std::string text, TakeText(bytes));
  if (bytes == 0) return 0;
  int64_t number = static_cast<int8_t>(text.back()) < 0 ? -1 : 0;
  std::memcpy(&number, text.data(), bytes);
  return number;
}

// --- the stack ---

absl::StatusOr<PickleMachine::Ref> PickleMachine::Make(Value value) {
  if (values_.size() >= kValuesMax) return Refused("too many values");
  values_.push_back(std::move(value));
  return static_cast<Ref>(values_.size() - 1);
}

absl::Status PickleMachine::Push(Value value) {
  ASSIGN_OR_RETURN(const Ref ref, Make(std::move(value)));
  stack_.push_back(ref);
  return absl::OkStatus();
}

absl::Status PickleMachine::PushInteger(int64_t integer, Kind kind) {
  return Push({kind, integer, {}, {}});
}

absl::Status PickleMachine::PushTuple(absl::StatusOr<std::vector<Ref>> items) {
  RETURN_IF_ERROR(items.status());
  return Push({Kind::kTuple, 0, {}, *std::move(items)});
}

absl::StatusOr<PickleMachine::Ref> PickleMachine::Top() const {
  if (stack_.size() <= Bottom()) return Damaged("a value is missing");
  return stack_.back();
}

absl::StatusOr<PickleMachine::Ref> PickleMachine::Pop() {
  ASSIGN_OR_RETURN(const Ref ref, Top());
  stack_.pop_back();
  return ref;
}

absl::StatusOr<std::vector<PickleMachine::Ref>> PickleMachine::PopMany(size_t count) {
  if (stack_.size() - Bottom() < count) return Damaged("a value is missing");
  std::vector<Ref> refs(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
  stack_.resize(stack_.size() - count);
  return refs;
}

absl::StatusOr<std::vector<PickleMachine::Ref>> PickleMachine::PopToMark() {
  if (marks_.empty()) return Damaged("a mark is missing");
  ASSIGN_OR_RETURN(auto refs, PopMany(stack_.size() - marks_.back()));
  marks_.pop_back();
  return refs;
}

// Adds to the container below: a dict takes keys and values in turn.
absl::Status PickleMachine::Extend(Kind kind, absl::StatusOr<std::vector<Ref>> items) {
  RETURN_IF_ERROR(items.status());
  ASSIGN_OR_RETURN(const Ref ref, Top());
  Value& container = values_[ref];
  if (container.kind != kind) return Damaged("items for what is no container of them");
  if (kind == Kind::kDict && items->size() % 2 != 0) return Damaged("a key without a value");
  container.items.insert(container.items.end(), items->begin(), items->end());
  return absl::OkStatus();
}

// --- opcodes ---

absl::Status PickleMachine::Step(uint8_t opcode) {
  switch (opcode) {
    case '}':
      return Push({Kind::kDict, 0, {}, {}});
    case ']':
      return Push({Kind::kList, 0, {}, {}});
    case ')':
      return Push({Kind::kTuple, 0, {}, {}});
    case 'N':
      return Push({});
    case 0x88:
      return PushInteger(1, Kind::kBool);
    case 0x89:
      return PushInteger(0, Kind::kBool);
    case '(':
      marks_.push_back(stack_.size());
      return absl::OkStatus();
    case 't':
      return PushTuple(PopToMark());
    case 0x85:
      return PushTuple(PopMany(1));
    case 0x86:
      return PushTuple(PopMany(2));
    case 0x87:
      return PushTuple(PopMany(3));
    case 's':
      return Extend(Kind::kDict, PopMany(2));
    case 'u':
      return Extend(Kind::kDict, PopToMark());
    case 'a':
      return Extend(Kind::kList, PopMany(1));
    case 'e':
      return Extend(Kind::kList, PopToMark());
    case 'R':
      return Reduce();
    case 'b':
      return Build();
    case 'Q':
      return PersistentId();
    case 'c':
      return Name();
    case 0x93:
      return StackName();
    default:
      return StepWithArgument(opcode);
  }
}

absl::Status PickleMachine::StepWithArgument(uint8_t opcode) {
  switch (opcode) {
    case 0x80:
      return Protocol();
    case 0x95:  // a frame's length, of use to readers of streams
      return Take<uint64_t>().status();
    case 'X':
      return TextOf<uint32_t>();
    case 0x8c:
      return TextOf<uint8_t>();
    case 0x8d:
      return TextOf<uint64_t>();
    case 'J':
      return IntegerOf<int32_t>();
    case 'K':
      return IntegerOf<uint8_t>();
    case 'M':
      return IntegerOf<uint16_t>();
    case 0x8a:
      return LongOf();
    case 'G':
      RETURN_IF_ERROR(Take<double>().status());
      return PushInteger(0, Kind::kReal);
    case 'q':
      return RememberAt<uint8_t>();
    case 'r':
      return RememberAt<uint32_t>();
    case 0x94:
      return Remember(static_cast<uint32_t>(memo_.size()));
    case 'h':
      return Recall<uint8_t>();
    case 'j':
      return Recall<uint32_t>();
    default:
      return Refused("the pickle opcode " + std::to_string(opcode));
  }
}

template <typename Length>
absl::Status PickleMachine::TextOf() {
  ASSIGN_OR_RETURN(const auto length, Take<Length>());
  ASSIGN_OR_RETURN(std::string text, TakeText(length));
  return Push({Kind::kText, 0, std::move(text), {}});
}

template <typename Number>
absl::Status PickleMachine::IntegerOf() {
  ASSIGN_OR_RETURN(const auto number, Take<Number>());
  return PushInteger(static_cast<int64_t>(number));
}

absl::Status PickleMachine::LongOf() {
  ASSIGN_OR_RETURN(const int64_t number, TakeLong());
  return PushInteger(number);
}

absl::Status PickleMachine::Remember(uint32_t index) {
  ASSIGN_OR_RETURN(memo_[index], Top());
  return absl::OkStatus();
}

template <typename Index>
absl::Status PickleMachine::RememberAt() {
  ASSIGN_OR_RETURN(const auto index, Take<Index>());
  return Remember(index);
}

template <typename Index>
absl::Status PickleMachine::Recall() {
  ASSIGN_OR_RETURN(const auto index, Take<Index>());
  const auto found = memo_.find(index);
  if (found == memo_.end()) return Damaged("it refers to a value that it never made");
  stack_.push_back(found->second);
  return absl::OkStatus();
}

absl::Status PickleMachine::Protocol() {
  ASSIGN_OR_RETURN(const auto protocol, Take<uint8_t>());
  return protocol <= kProtocolMax ? absl::OkStatus() : Damaged("an unknown protocol");
}

absl::Status PickleMachine::AdmitAndPush(std::string path) {
  RETURN_IF_ERROR(Admit(path));
  return Push({Kind::kName, 0, std::move(path), {}});
}

absl::Status PickleMachine::Name() {
  ASSIGN_OR_RETURN(const std::string module, TakeLine());
  ASSIGN_OR_RETURN(const std::string name, TakeLine());
  return AdmitAndPush(module + "." + name);
}

absl::Status PickleMachine::StackName() {
  ASSIGN_OR_RETURN(const auto refs, PopMany(2));
  const Value &module = at(refs[0]), &name = at(refs[1]);
  if (module.kind != Kind::kText || name.kind != Kind::kText) return Damaged("a name is no text");
  return AdmitAndPush(module.text + "." + name.text);
}

absl::Status PickleMachine::Reduce() {
  ASSIGN_OR_RETURN(const auto refs, PopMany(2));
  const Value &function = at(refs[0]), &arguments = at(refs[1]);
  if (function.kind != Kind::kName || arguments.kind != Kind::kTuple) {
    return Damaged("a call of what is no function");
  }
  ASSIGN_OR_RETURN(const Ref result, Call(function.text, arguments.items));
  stack_.push_back(result);
  return absl::OkStatus();
}

// A dict's state is its attributes, as `_metadata` of a state dict: they are dropped.
absl::Status PickleMachine::Build() {
  RETURN_IF_ERROR(Pop().status());
  ASSIGN_OR_RETURN(const Ref target, Top());
  return at(target).kind == Kind::kDict ? absl::OkStatus() : Refused("an object with a state");
}

absl::Status PickleMachine::PersistentId() {
  ASSIGN_OR_RETURN(const Ref id, Pop());
  ASSIGN_OR_RETURN(const Ref object, Persistent(id));
  stack_.push_back(object);
  return absl::OkStatus();
}

}  // namespace halcyon::storage
