// The machine that a pickle stream (Python's serialisation, protocols 0 to 5) is a program for, cut
// down to the opcodes that plain containers of numbers and text need. It imports, calls and
// executes nothing: what a stream would import or call is passed to the subclass, as text and
// values. Internal to storage/weights/torch_pickle.cc.
#ifndef HALCYON_STORAGE_WEIGHTS_PICKLE_MACHINE_H_
#define HALCYON_STORAGE_WEIGHTS_PICKLE_MACHINE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon::storage {

class PickleMachine {
 public:
  explicit PickleMachine(std::string_view stream) : rest_(stream) {}
  virtual ~PickleMachine() = default;
  PickleMachine(const PickleMachine&) = delete;
  PickleMachine& operator=(const PickleMachine&) = delete;

 protected:
  using Ref = uint32_t;  // a value's place in the machine's store
  struct Value {
    enum class Kind { kNone, kBool, kInteger, kReal, kText, kTuple, kList, kDict, kName, kObject };
    Kind kind = Kind::kNone;
    int64_t integer = 0;     // kInteger, kBool; kObject: the subclass's number of it
    std::string text;        // kText, kName: "module.name"
    std::vector<Ref> items;  // kTuple, kList; kDict: keys and values in turn
  };
  using Kind = Value::Kind;

  // Runs the stream to its end. The value that it leaves.
  absl::StatusOr<Ref> Run();
  const Value& at(Ref ref) const { return values_[ref]; }
  absl::StatusOr<Ref> Make(Value value);

  static absl::Status Damaged(std::string_view what);  // kDataLoss
  static absl::Status Refused(std::string_view what);  // kInvalidArgument

  // The stream names `path` ("module.name"): OK when that is allowed.
  virtual absl::Status Admit(const std::string& path) = 0;
  // The stream calls `function`, a name that was admitted.
  virtual absl::StatusOr<Ref> Call(const std::string& function,
                                   const std::vector<Ref>& arguments) = 0;
  // The stream refers to something stored outside it.
  virtual absl::StatusOr<Ref> Persistent(Ref id) = 0;

 private:
  template <typename Number>
  absl::StatusOr<Number> Take();
  absl::StatusOr<std::string> TakeText(uint64_t bytes);
  absl::StatusOr<std::string> TakeLine();
  absl::StatusOr<int64_t> TakeLong();

  absl::Status Push(Value value);
  absl::Status PushInteger(int64_t integer, Kind kind = Kind::kInteger);
  absl::Status PushTuple(absl::StatusOr<std::vector<Ref>> items);
  size_t Bottom() const { return marks_.empty() ? 0 : marks_.back(); }
  absl::StatusOr<Ref> Top() const;
  absl::StatusOr<Ref> Pop();
  absl::StatusOr<std::vector<Ref>> PopMany(size_t count);
  absl::StatusOr<std::vector<Ref>> PopToMark();
  absl::Status Extend(Kind kind, absl::StatusOr<std::vector<Ref>> items);

  absl::Status Step(uint8_t opcode);
  absl::Status StepWithArgument(uint8_t opcode);
  template <typename Length>
  absl::Status TextOf();
  template <typename Number>
  absl::Status IntegerOf();
  template <typename Index>
  absl::Status RememberAt();
  template <typename Index>
  absl::Status Recall();
  absl::Status Remember(uint32_t index);
  absl::Status LongOf();
  absl::Status Protocol();
  absl::Status Name();
  absl::Status StackName();
  absl::Status AdmitAndPush(std::string path);
  absl::Status Reduce();
  absl::Status Build();
  absl::Status PersistentId();

  std::string_view rest_;
  std::deque<Value> values_;  // never shrinks: values refer to each other by place
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::map<uint32_t, Ref> memo_;
};

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_WEIGHTS_PICKLE_MACHINE_H_
