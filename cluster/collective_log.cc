#include "cluster/collective_log.h"

#include <utility>

#include "base/check.h"
#include "base/digest.h"

namespace halcyon::cluster {
namespace {

const char* TextOf(Group group) {
  switch (group) {
    case Group::kAll:
      return "";
    case Group::kNode:
      return " in the node";
    case Group::kAcrossNodes:
      return " across nodes";
  }
  return "";
}

}  // namespace

std::string CollectiveName(std::string_view kind, Group group, std::string_view what) {
  return std::string(kind) + TextOf(group) + " of " + std::string(what);
}

uint64_t NextOrderDigest(uint64_t digest, std::string_view name, uint64_t part_bytes) {
  return Xxh3(std::string(name) + " " + std::to_string(part_bytes) + " " + std::to_string(digest));
}

uint64_t CollectiveLog::Start(std::string name, Traffic traffic, int64_t now_ms) {
  digest_ = NextOrderDigest(digest_, name, traffic.part_bytes);
  ++figures_.collectives;
  figures_.bytes += traffic.received_bytes;
  if (started_.empty()) oldest_since_ms_ = now_ms;
  ++changes_;
  changed_ms_ = now_ms;
  started_.push_back({std::move(name), ++count_});
  return count_;
}

void CollectiveLog::EndOldest(int64_t busy_us, int64_t now_ms) {
  HALCYON_CHECK(!started_.empty());
  figures_.busy_us += busy_us;
  started_.pop_front();
  oldest_since_ms_ = changed_ms_ = now_ms;
}

void CollectiveLog::EndWait(int64_t now_ms) {
  waits_ = false;
  ++changes_;
  changed_ms_ = now_ms;
}

CollectiveStanding CollectiveLog::Standing() const {
  CollectiveStanding standing{.started = count_, .changes = changes_, .changed_ms = changed_ms_};
  if (started_.empty()) return standing;
  standing.under_way = started_.front().number;
  standing.name = started_.front().name;
  standing.waits = waits_;
  return standing;
}

std::string CollectiveLog::Oldest() const {
  if (started_.empty()) return "";
  return started_.front().name + ", number " + std::to_string(started_.front().number);
}

std::string CollectiveLog::Current(int64_t now_ms) const {
  const int64_t seconds = started_.empty() ? 0 : (now_ms - oldest_since_ms_) / 1000;
  return Oldest() + (seconds > 0 ? ", for " + std::to_string(seconds) + " s" : "");
}

uint64_t CollectiveLog::Overdue(int64_t now_ms, int64_t after_ms) const {
  return started_.empty() || now_ms - oldest_since_ms_ < after_ms ? 0 : started_.front().number;
}

std::string CollectiveLog::NotEnded(int64_t timeout_ms, std::string_view whom) const {
  return Oldest() + " has not ended within " + std::to_string(timeout_ms / 1000) +
         " s: " + std::string(whom);
}

CollectiveFigures CollectiveLog::TakeFigures() { return std::exchange(figures_, {}); }

}  // namespace halcyon::cluster
