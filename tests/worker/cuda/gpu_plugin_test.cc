// Opening the plugin, where anything may be missing. Nothing here needs a GPU.
#include <ATen/ATen.h>
#include <dlfcn.h>
#include <gmock/gmock.h>

#include <fstream>

#include "worker/cuda/nccl_version.h"
#include "worker/gpu.h"

namespace halcyon::worker {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

TEST(GpuPlugin, AFileThatIsMissingIsNamed) {
  const auto opened = OpenGpuPlugin("/nowhere/libhalcyon_cuda.so");
  EXPECT_TRUE(absl::IsNotFound(opened.status()));
  EXPECT_THAT(MessageOf(opened.status()),
              HasSubstr("there is no GPU plugin /nowhere/libhalcyon_cuda.so"));
}

TEST(GpuPlugin, AFileThatIsNoLibraryIsAnError) {
  const std::string path = testing::TempDir() + "no_library.so";
  std::ofstream(path) << "text";
  const auto opened = OpenGpuPlugin(path);
  EXPECT_TRUE(absl::IsFailedPrecondition(opened.status()));
  EXPECT_THAT(MessageOf(opened.status()), HasSubstr(path + " cannot be loaded: "));
}

TEST(GpuPlugin, APluginOfAnotherBuildIsRefused) {
  const auto opened = OpenGpuPlugin(OTHER_BUILD_PLUGIN);
  EXPECT_TRUE(absl::IsFailedPrecondition(opened.status()));
  EXPECT_THAT(MessageOf(opened.status()),
              HasSubstr("is of another build than this program: \"halcyon gpu plugin 1\", not "));
}

// Opens where there is a GPU, and says what is missing where there is none.
TEST(GpuPlugin, OpensOrSaysWhatIsMissing) {
  const auto opened = OpenGpuPlugin(HALCYON_GPU_PLUGIN);
  std::printf("%s\n", opened.ok() ? "opened" : MessageOf(opened.status()).c_str());
  if (opened.ok()) {
    EXPECT_GE(*(*opened)->Devices(), 1);
    EXPECT_EQ(&model::KernelsFor(c10::kCUDA), &(*opened)->kernels());
    return;
  }
  if (absl::IsUnavailable(opened.status())) {
    EXPECT_THAT(MessageOf(opened.status()),
                AnyOf(HasSubstr("no NVIDIA driver"), HasSubstr("driver is too old"),
                      HasSubstr("no CUDA device"), HasSubstr("CUDA: ")));
  } else {
    EXPECT_TRUE(absl::IsFailedPrecondition(opened.status())) << opened.status();
    EXPECT_THAT(MessageOf(opened.status()), HasSubstr(".so"));
    EXPECT_THAT(MessageOf(opened.status()), HasSubstr("cannot open shared object file"));
  }
  // The CPU goes on as before.
  EXPECT_FALSE(at::hasCUDA());
  EXPECT_EQ(at::ones({3}).sum().item<float>(), 3);
}

TEST(GpuPlugin, ASecondOpeningSaysTheSame) {
  const auto first = OpenGpuPlugin(HALCYON_GPU_PLUGIN), second = OpenGpuPlugin(HALCYON_GPU_PLUGIN);
  EXPECT_EQ(first.status(), second.status());
  if (first.ok()) {
    EXPECT_EQ(*first, *second);
  }
}

TEST(NcclVersion, ThoseThatHangAreWarnedOf) {
  EXPECT_EQ(NcclVersionText(22809), "2.28.9");
  EXPECT_EQ(NcclVersionText(21805), "2.18.5");
  for (const int known : {22803, 22805, 22808}) {
    EXPECT_THAT(NcclVersionWarning(known), HasSubstr("NCCL " + NcclVersionText(known) + ": "));
  }
  for (const int fine : {22802, 22809, 22900, 21805}) EXPECT_EQ(NcclVersionWarning(fine), "");
}

}  // namespace
}  // namespace halcyon::worker
