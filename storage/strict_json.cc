#include "storage/strict_json.h"

#include <limits>

namespace halcyon::storage {
namespace {

using nlohmann::json;

// Builds the value from the parser's events. The library's own builder lets the last of two equal
// names win, and its filtering form needs quadratic time for an object of many objects.
class StrictBuilder : public nlohmann::json_sax<json> {
 public:
  json TakeValue() { return std::move(root_); }
  const std::string& problem() const { return problem_; }

  bool null() override { return Add(nullptr); }
  bool boolean(bool value) override { return Add(value); }
  bool number_integer(number_integer_t value) override { return Add(value); }
  bool number_unsigned(number_unsigned_t value) override { return Add(value); }
  bool number_float(number_float_t value, const string_t&) override { return Add(value); }
  bool string(string_t& value) override { return Add(std::move(value)); }
  bool binary(binary_t&) override { return Refuse("binary value"); }
  bool start_object(std::size_t) override { return Open(json::object()); }
  bool end_object() override { return Close(); }
  bool start_array(std::size_t) override { return Open(json::array()); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    if (open_.back()->contains(name)) return Refuse("the name \"" + name + "\" appears twice");
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const json::exception& error) override {
    return Refuse(error.what());
  }

 private:
  bool Refuse(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  json* Place(json value) {
    if (open_.empty()) return &(root_ = std::move(value));
    json& parent = *open_.back();
    if (parent.is_object()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  bool Add(json value) {
    Place(std::move(value));
    return true;
  }

  // An open value's address is stable: nothing is added to its parent until it is closed.
  bool Open(json value) {
    if (open_.size() == kJsonDepthMax) {
      return Refuse("nested deeper than " + std::to_string(kJsonDepthMax));
    }
    open_.push_back(Place(std::move(value)));
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  json root_;
  std::vector<json*> open_;
  std::string key_;
  std::string problem_;
};

absl::Status WrongType(const char* name, std::string_view expected) {
  return DataLoss(std::string("member \"") + name + "\": expected " + std::string(expected));
}

}  // namespace

absl::StatusOr<json> ParseStrictJson(std::string_view text) {
  // The library takes a NUL for the end of the input and would ignore what follows.
  if (const size_t nul = text.find('\0'); nul != text.npos) {
    return DataLoss("not JSON: a NUL byte at byte " + std::to_string(nul));
  }
  StrictBuilder builder;
  if (!json::sax_parse(text.begin(), text.end(), &builder)) {
    return DataLoss("not JSON: " + builder.problem());
  }
  return builder.TakeValue();
}

absl::StatusOr<const json*> Member(const json& object, const char* name) {
  if (!object.is_object()) {
    return DataLoss(std::string("expected an object with member \"") + name + "\"");
  }
  const auto it = object.find(name);
  if (it == object.end()) return DataLoss(std::string("member \"") + name + "\" is missing");
  return &*it;
}

absl::StatusOr<int64_t> IntegerMember(const json& object, const char* name) {
  ASSIGN_OR_RETURN(const json* value, Member(object, name));
  if (!value->is_number_integer()) return WrongType(name, "an integer");
  return value->get<int64_t>();
}

absl::StatusOr<uint64_t> UnsignedMember(const json& object, const char* name) {
  ASSIGN_OR_RETURN(const json* value, Member(object, name));
  if (!value->is_number_unsigned()) return WrongType(name, "an integer from 0 to 2^64 - 1");
  return value->get<uint64_t>();
}

absl::StatusOr<std::string> StringMember(const json& object, const char* name) {
  ASSIGN_OR_RETURN(const json* value, Member(object, name));
  if (!value->is_string()) return WrongType(name, "a string");
  return value->get<std::string>();
}

absl::StatusOr<const json*> ArrayMember(const json& object, const char* name) {
  ASSIGN_OR_RETURN(const json* value, Member(object, name));
  if (!value->is_array()) return WrongType(name, "an array");
  return value;
}

absl::StatusOr<std::map<std::string, std::string>> StringMapMember(const json& object,
                                                                   const char* name) {
  ASSIGN_OR_RETURN(const json* value, Member(object, name));
  if (!value->is_object()) return WrongType(name, "an object of strings");
  std::map<std::string, std::string> result;
  for (const auto& [key, text] : value->items()) {
    if (!text.is_string()) return WrongType(name, "an object of strings");
    result.emplace(key, text.get<std::string>());
  }
  return result;
}

absl::StatusOr<std::vector<int64_t>> ShapeMember(const json& object, const char* name) {
  constexpr uint64_t kExtentMax = std::numeric_limits<int64_t>::max();
  ASSIGN_OR_RETURN(const json* value, ArrayMember(object, name));
  std::vector<int64_t> shape;
  for (const json& extent : *value) {
    if (!extent.is_number_unsigned() || extent.get<uint64_t>() > kExtentMax) {
      return WrongType(name, "integers from 0 to 2^63 - 1");
    }
    shape.push_back(static_cast<int64_t>(extent.get<uint64_t>()));
  }
  return shape;
}

absl::StatusOr<uint64_t> ElementCount(const std::vector<int64_t>& shape) {
  uint64_t count = 1;
  for (const int64_t extent : shape) {
    if (extent < 0) return DataLoss("the shape has the negative extent " + std::to_string(extent));
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(extent), &count)) {
      return DataLoss("the shape's number of elements overflows");
    }
  }
  return count;
}

}  // namespace halcyon::storage
