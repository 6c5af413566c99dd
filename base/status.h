// Errors: absl::Status everywhere, and the two macros that add context on the way up.
//
// The codes in use, and what each means for the caller:
//   kInvalidArgument    the input is bad: tell the user what, where and what to do (exit code 2)
//   kNotFound           the named thing does not exist
//   kAlreadyExists      done before: treat as success where the operation is idempotent
//   kDataLoss           bytes read back differ from bytes written: fall back or rebuild
//   kResourceExhausted  disk or memory is full: stop, keep what is committed
//   kUnavailable        a peer or a process is gone: retry
//   kAborted            fenced off or told to stop: another process may have the work now
//   kFailedPrecondition the operation does not fit the present state
//   kInternal           a fault of a library or of the operating system, with its own message
#ifndef HALCYON_BASE_STATUS_H_
#define HALCYON_BASE_STATUS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace halcyon {

// Debian's absl::string_view is not std::string_view; these two convert.
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }
inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

inline absl::Status MakeStatus(absl::StatusCode code, std::string_view message) {
  return absl::Status(code, ToAbsl(message));
}
inline absl::Status InvalidArgument(std::string_view m) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, m);
}
inline absl::Status NotFound(std::string_view m) {
  return MakeStatus(absl::StatusCode::kNotFound, m);
}
inline absl::Status AlreadyExists(std::string_view m) {
  return MakeStatus(absl::StatusCode::kAlreadyExists, m);
}
inline absl::Status DataLoss(std::string_view m) {
  return MakeStatus(absl::StatusCode::kDataLoss, m);
}
inline absl::Status ResourceExhausted(std::string_view m) {
  return MakeStatus(absl::StatusCode::kResourceExhausted, m);
}
inline absl::Status Unavailable(std::string_view m) {
  return MakeStatus(absl::StatusCode::kUnavailable, m);
}
inline absl::Status Aborted(std::string_view m) {
  return MakeStatus(absl::StatusCode::kAborted, m);
}
inline absl::Status FailedPrecondition(std::string_view m) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, m);
}
inline absl::Status Internal(std::string_view m) {
  return MakeStatus(absl::StatusCode::kInternal, m);
}

// The status with `context` put before its message: "tokens task 3: cannot open ...".
absl::Status Annotate(const absl::Status& status, std::string_view context);

// A failed system call: a full disk is kResourceExhausted, ENOENT kNotFound, what another try does
// not change (permission, kind of file, file system) kFailedPrecondition, the rest kInternal.
absl::Status ErrnoStatus(int error, std::string_view what);

// The message alone, as a std::string.
inline std::string MessageOf(const absl::Status& status) {
  return std::string(status.message().data(), status.message().size());
}

}  // namespace halcyon

#define HALCYON_CONCAT_INNER_(a, b) a##b
#define HALCYON_CONCAT_(a, b) HALCYON_CONCAT_INNER_(a, b)

// RETURN_IF_ERROR(expr) or RETURN_IF_ERROR(expr, "context").
#define RETURN_IF_ERROR(...) \
  HALCYON_RETURN_PICK_(__VA_ARGS__, HALCYON_RETURN_2_, HALCYON_RETURN_1_)(__VA_ARGS__)
#define HALCYON_RETURN_PICK_(a, b, name, ...) name
#define HALCYON_RETURN_1_(expr)                                                               \
  do {                                                                                        \
    if (absl::Status halcyon_status_ = (expr); !halcyon_status_.ok()) return halcyon_status_; \
  } while (false)
#define HALCYON_RETURN_2_(expr, context)                              \
  do {                                                                \
    if (absl::Status halcyon_status_ = (expr); !halcyon_status_.ok()) \
      return ::halcyon::Annotate(halcyon_status_, (context));         \
  } while (false)

// ASSIGN_OR_RETURN(auto x, Make()) or ASSIGN_OR_RETURN(auto x, Make(), "context").
#define ASSIGN_OR_RETURN(lhs, ...)                                        \
  HALCYON_ASSIGN_PICK_(__VA_ARGS__, HALCYON_ASSIGN_2_, HALCYON_ASSIGN_1_) \
  (HALCYON_CONCAT_(halcyon_result_, __LINE__), lhs, __VA_ARGS__)
#define HALCYON_ASSIGN_PICK_(a, b, name, ...) name
#define HALCYON_ASSIGN_1_(result, lhs, expr) \
  auto result = (expr);                      \
  if (!result.ok()) return result.status();  \
  lhs = std::move(result).value()
#define HALCYON_ASSIGN_2_(result, lhs, expr, context)                       \
  auto result = (expr);                                                     \
  if (!result.ok()) return ::halcyon::Annotate(result.status(), (context)); \
  lhs = std::move(result).value()

#endif  // HALCYON_BASE_STATUS_H_
