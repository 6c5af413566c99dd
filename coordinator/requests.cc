#include "coordinator/requests.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace halcyon::coordinator {
namespace {

constexpr Request kRequests[] = {Request::kStop, Request::kCancel};

std::string RequestsFolder(const storage::HomeLayout& home, const std::string& job_id) {
  return JoinPath(home.Job(job_id), "requests");
}

std::string RequestPath(const storage::HomeLayout& home, const std::string& job_id,
                        Request request) {
  return JoinPath(RequestsFolder(home, job_id), NameOf(request));
}

// What a request says; one that an operator made with `touch` says nothing.
nlohmann::json ContentsOf(const std::string& text) {
  auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : nlohmann::json::object();
}

bool SaysNow(const nlohmann::json& contents) {
  const auto now = contents.find("now");
  return now != contents.end() && now->is_boolean() && now->get<bool>();
}

std::string SubmissionIn(const nlohmann::json& contents) {
  const auto submission = contents.find("submission");
  return submission != contents.end() && submission->is_string() ? submission->get<std::string>()
                                                                 : "";
}

}  // namespace

std::string_view NameOf(Request request) { return request == Request::kStop ? "stop" : "cancel"; }

absl::Status WriteRequest(Env& env, const storage::HomeLayout& home, const std::string& job_id,
                          Request request, const std::string& submission, bool now) {
  RETURN_IF_ERROR(env.CreateDirs(RequestsFolder(home, job_id)));
  const nlohmann::json contents = {{"submission", submission}, {"now", now}};
  return WriteFileAtomically(env, RequestPath(home, job_id, request), contents.dump() + "\n");
}

Requests ReadRequests(Env& env, const storage::HomeLayout& home, const std::string& job_id) {
  Requests requests;
  for (const Request request : kRequests) {
    const std::string path = RequestPath(home, job_id, request);
    // A missing file is the usual case, and must not cost an error's text each second.
    if (!env.Exists(path)) continue;
    const auto text = env.ReadFile(path);
    if (!text.ok()) continue;
    requests.stops = std::max(requests.stops, SaysNow(ContentsOf(*text)) ? 2 : 1);
    requests.cancel = requests.cancel || request == Request::kCancel;
  }
  return requests;
}

absl::Status RemoveOldRequests(Env& env, const storage::HomeLayout& home, const std::string& job_id,
                               const std::string& submission) {
  for (const Request request : kRequests) {
    const std::string path = RequestPath(home, job_id, request);
    const auto text = env.ReadFile(path);
    if (absl::IsNotFound(text.status())) continue;
    if (text.ok() && !submission.empty() && SubmissionIn(ContentsOf(*text)) == submission) continue;
    const absl::Status removed = env.RemoveFile(path);
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  }
  return absl::OkStatus();
}

RequestWatcher::RequestWatcher(Env* env, const storage::HomeLayout& home, std::string job_id)
    : env_(env), home_(home), job_id_(std::move(job_id)), thread_([this] { Watch(); }) {}

RequestWatcher::~RequestWatcher() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void RequestWatcher::Watch() {
  while (true) {
    const Requests requests = ReadRequests(*env_, home_, job_id_);
    cancelled_ = cancelled_ || requests.cancel;
    stops_ = std::max(stops_.load(), requests.stops);
    MutexLock lock(&mutex_);
    const auto is_ending = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ending_; };
    if (changed_.WaitFor(&mutex_, kRequestsPollMs, is_ending)) return;
  }
}

}  // namespace halcyon::coordinator
