#include "cluster/external_world.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

namespace halcyon::cluster {
namespace {

constexpr int kWorldSizeMax = 1024;  // as launch.ranks

absl::StatusOr<std::string> VariableText(const Variables& variables, const std::string& name) {
  const auto text = variables(name);
  if (text && !text->empty()) return *text;
  return InvalidArgument("the environment variable " + name +
                         " is not set: a member is started once a rank, by something that sets "
                         "RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT");
}

absl::StatusOr<int> NumberOf(const Variables& variables, const std::string& name, int min,
                             int max) {
  ASSIGN_OR_RETURN(const std::string text, VariableText(variables, name));
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= min && number <= max) {
    return number;
  }
  return InvalidArgument(
      fmt::format("{}={} in the environment is no number from {} to {}", name, text, min, max));
}

// They become parts of endpoints.
bool IsAddress(const std::string& text) {
  return text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%") ==
         std::string::npos;
}

absl::Status CheckAgainst(const Variables& variables, const char* name, const char* size_name,
                          int number) {
  if (!variables(size_name)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const int size, NumberOf(variables, size_name, 1, kWorldSizeMax));
  if (number < size) return absl::OkStatus();
  return InvalidArgument(
      fmt::format("{}={} in the environment contradicts {}={}", name, number, size_name, size));
}

}  // namespace

absl::StatusOr<ExternalWorld> ExternalWorldOf(const Variables& variables) {
  ExternalWorld world;
  ASSIGN_OR_RETURN(world.size, NumberOf(variables, "WORLD_SIZE", 1, kWorldSizeMax));
  ASSIGN_OR_RETURN(world.rank, NumberOf(variables, "RANK", 0, kWorldSizeMax - 1));
  ASSIGN_OR_RETURN(world.local_rank, NumberOf(variables, "LOCAL_RANK", 0, kWorldSizeMax - 1));
  RETURN_IF_ERROR(CheckAgainst(variables, "RANK", "WORLD_SIZE", world.rank));
  RETURN_IF_ERROR(CheckAgainst(variables, "LOCAL_RANK", "LOCAL_WORLD_SIZE", world.local_rank));
  if (world.local_rank > world.rank) {
    return InvalidArgument(fmt::format("LOCAL_RANK={} in the environment contradicts RANK={}",
                                       world.local_rank, world.rank));
  }
  ASSIGN_OR_RETURN(world.master_address, VariableText(variables, "MASTER_ADDR"));
  if (!IsAddress(world.master_address)) {
    return InvalidArgument("MASTER_ADDR in the environment is no name or address of a host");
  }
  ASSIGN_OR_RETURN(const int port, NumberOf(variables, "MASTER_PORT", 1, 65'535));
  world.master_port = static_cast<uint16_t>(port);
  world.has_store = variables("TORCHELASTIC_USE_AGENT_STORE") == "True";
  return world;
}

absl::StatusOr<ExternalWorld> ExternalWorldOfThisProcess() {
  return ExternalWorldOf([](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  });
}

}  // namespace halcyon::cluster
