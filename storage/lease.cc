#include "storage/lease.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "storage/job_record.h"
#include "storage/strict_json.h"

namespace halcyon::storage {
namespace {

constexpr char kBeatSuffix[] = ".beat";
constexpr char kEndedSuffix[] = ".ended";
constexpr size_t kLeaseDigits = 8;
constexpr uint64_t kLeaseNumberMax = 99'999'999;

std::string LeasePath(const std::string& dir, uint64_t number, const char* suffix = "") {
  char name[32];
  std::snprintf(name, sizeof(name), "%08llu", static_cast<unsigned long long>(number));
  return JoinPath(dir, std::string(name) + suffix);
}

// Of a lease's own file; nullopt for any other name.
std::optional<uint64_t> LeaseNumber(const std::string& name) {
  const bool is_number =
      name.size() == kLeaseDigits &&
      std::all_of(name.begin(), name.end(), [](unsigned char c) { return c >= '0' && c <= '9'; });
  if (!is_number) return std::nullopt;
  return std::stoull(name);
}

absl::StatusOr<uint64_t> HighestLease(Env& env, const std::string& dir) {
  if (!env.Exists(dir)) return 0;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(dir));
  uint64_t highest = 0;
  for (const std::string& name : names) {
    if (const auto number = LeaseNumber(name)) highest = std::max(highest, *number);
  }
  return highest;
}

std::string HolderToText(const LeaseHolder& holder) {
  nlohmann::json json = ToJson(holder);
  json["who"] = holder.who;
  json["since_ms"] = holder.since_ms;
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

absl::StatusOr<LeaseHolder> HolderFromText(std::string_view text) {
  ASSIGN_OR_RETURN(const nlohmann::json from, ParseStrictJson(text));
  LeaseHolder holder;
  ASSIGN_OR_RETURN(static_cast<LocatedProcess&>(holder), ProcessFromJson(from));
  ASSIGN_OR_RETURN(holder.who, StringMember(from, "who"));
  ASSIGN_OR_RETURN(const uint64_t since, UnsignedMember(from, "since_ms"));
  holder.since_ms = static_cast<int64_t>(since);
  return holder;
}

// Makes `to` another name of the file `from`; false when `to` exists. A network file system may
// carry out the request and lose the answer, so the number of the file's names decides.
absl::StatusOr<bool> LinkFile(const std::string& from, const std::string& to) {
  if (link(from.c_str(), to.c_str()) == 0) return true;
  const int error = errno;
  struct stat info;
  if (stat(from.c_str(), &info) == 0 && info.st_nlink == 2) return true;
  if (error == EEXIST) return false;
  return ErrnoStatus(error, "cannot make " + to);
}

absl::Status WritePlainly(Env& env, const std::string& path, const std::string& text) {
  ASSIGN_OR_RETURN(const auto file, env.NewWritableFile(path));
  RETURN_IF_ERROR(file->Append(text));
  return file->Close();
}

}  // namespace

LeaseHolder ThisProcess(std::string who) {
  LeaseHolder self;
  static_cast<LocatedProcess&>(self) = LocatedProcess::OfThisProcess();
  self.who = std::move(who);
  self.since_ms = Clock::Real()->WallMs();
  return self;
}

absl::StatusOr<LeaseView> LookAtLease(Env& env, const std::string& dir) {
  LeaseView view;
  ASSIGN_OR_RETURN(view.number, HighestLease(env, dir));
  if (view.number == 0) return view;
  const std::string path = LeasePath(dir, view.number);
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  auto holder = HolderFromText(text);
  if (!holder.ok()) return DataLoss(path + ": " + MessageOf(holder.status()));
  view.holder = *std::move(holder);
  if (view.holder.IsOnThisMachine()) {
    view.presence = IsAlive(view.holder.process) ? Presence::kRuns : Presence::kGone;
  }
  view.has_ended = env.Exists(LeasePath(dir, view.number, kEndedSuffix));
  view.beat = env.ReadFile(LeasePath(dir, view.number, kBeatSuffix)).value_or("");
  return view;
}

Lease::~Lease() {
  if (abandoned_ || !Check().ok()) return;
  const absl::Status ended = WritePlainly(env_, LeasePath(dir_, number_, kEndedSuffix), "");
  // Then others wait until they see that this process is gone.
  if (!ended.ok()) spdlog::warn("{}", MessageOf(ended));
}

absl::Status Lease::Check() const {
  ASSIGN_OR_RETURN(const uint64_t highest, HighestLease(env_, dir_));
  if (highest == number_) return absl::OkStatus();
  if (highest < number_) return Aborted(LeasePath(dir_, number_) + ": was removed");
  const auto now = LookAtLease(env_, dir_);
  return Aborted("taken over by " + (now.ok() ? now->holder.ToString() : "another process"));
}

absl::Status Lease::Renew() {
  RETURN_IF_ERROR(Check());
  return WritePlainly(env_, LeasePath(dir_, number_, kBeatSuffix), std::to_string(++beats_));
}

absl::StatusOr<std::unique_ptr<Lease>> LeaseSeeker::TryTake(uint64_t above) {
  RETURN_IF_ERROR(env_.CreateDirs(dir_));
  const absl::Status looked = Look();
  // It was removed between two looks: the next try sees what there is now.
  if (absl::IsNotFound(looked)) return nullptr;
  RETURN_IF_ERROR(looked);
  if (!watch_.MayTake()) return nullptr;
  const uint64_t number = watch_.NextNumber(above);
  if (number > kLeaseNumberMax) {
    return FailedPrecondition(dir_ + ": has used up its numbers; remove the folder");
  }
  ASSIGN_OR_RETURN(const bool is_made, Make(number));
  std::unique_ptr<Lease> lease;
  if (is_made) lease.reset(new Lease(env_, dir_, number));
  // Another may have been faster; so much that files were removed and this number was free again.
  RETURN_IF_ERROR(Look());
  if (lease == nullptr || watch_.seen().number != number) return nullptr;
  RemoveOld(number);
  return lease;
}

absl::Status LeaseSeeker::Look() {
  ASSIGN_OR_RETURN(LeaseView view, LookAtLease(env_, dir_));
  watch_.See(std::move(view), clock_.MonotonicMs());
  return absl::OkStatus();
}

absl::StatusOr<bool> LeaseSeeker::Make(uint64_t number) {
  // The name holds what no other process has.
  const std::string draft = JoinPath(dir_, "draft-" + self_.host + "-" + self_.boot_id + "-" +
                                               std::to_string(self_.process.pid) + "-" +
                                               std::to_string(self_.process.start_time));
  ASSIGN_OR_RETURN(const auto file, env_.NewWritableFile(draft));
  RETURN_IF_ERROR(file->Append(HolderToText(self_)));
  RETURN_IF_ERROR(file->Sync());
  RETURN_IF_ERROR(file->Close());
  const absl::StatusOr<bool> made = LinkFile(draft, LeasePath(dir_, number));
  RETURN_IF_ERROR(env_.RemoveFile(draft));
  RETURN_IF_ERROR(made.status());
  if (*made) RETURN_IF_ERROR(env_.SyncDir(dir_));
  return made;
}

// What cannot be removed does no harm.
void LeaseSeeker::RemoveOld(uint64_t number) {
  const auto names = env_.ListDir(dir_);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const auto old = LeaseNumber(name.substr(0, kLeaseDigits));
    if (old && *old + kLeasesKept < number) env_.RemoveFile(JoinPath(dir_, name)).IgnoreError();
  }
}

}  // namespace halcyon::storage
