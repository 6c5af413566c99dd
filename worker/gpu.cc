#include "worker/gpu.h"

#include <dlfcn.h>
#include <spdlog/spdlog.h>

#include <filesystem>

namespace halcyon::worker {
namespace {

constexpr char kHelp[] = " (docs/gpu.md)";

const GpuPlugin* installed = nullptr;

absl::StatusOr<const GpuPlugin*> LoadGpuPlugin(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return NotFound("there is no GPU plugin " + path + "; it is built where nvcc is found" + kHelp);
  }
  // All symbols at once: one that is missing shows here, not in the middle of training.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return FailedPrecondition("the GPU plugin " + path + " cannot be loaded: " + dlerror() + kHelp);
  }
  auto* const build =
      reinterpret_cast<GpuPluginBuildFunction*>(dlsym(library, kGpuPluginBuildSymbol));
  auto* const open = reinterpret_cast<GpuPluginFunction*>(dlsym(library, kGpuPluginSymbol));
  if (build == nullptr || open == nullptr || std::string(build()) != kGpuPluginBuild) {
    return FailedPrecondition(
        "the GPU plugin " + path + " is of another build than this program" +
        (build == nullptr ? ""
                          : ": \"" + std::string(build()) + "\", not \"" + kGpuPluginBuild + "\""));
  }
  return open();
}

}  // namespace

std::string DefaultGpuPluginPath() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  return (program.parent_path() / "libhalcyon_cuda.so").string();
}

absl::StatusOr<const GpuPlugin*> OpenGpuPlugin(const std::string& path) {
  const GpuPlugin* plugin = installed;
  if (plugin == nullptr) {
    ASSIGN_OR_RETURN(plugin, LoadGpuPlugin(path));
  }
  for (const std::string& warning : plugin->Warnings()) spdlog::warn("{}", warning);
  RETURN_IF_ERROR(plugin->Devices().status());
  model::RegisterKernels(plugin->type(), &plugin->kernels());
  return plugin;
}

bool MayHaveGpu() {
  if (installed != nullptr) return true;
  void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return false;
  dlclose(driver);
  return true;
}

void InstallGpuPlugin(const GpuPlugin* plugin) { installed = plugin; }

}  // namespace halcyon::worker
