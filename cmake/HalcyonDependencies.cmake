# Debian's libraries and the unpacked LibTorch wheel. docs/dependencies.md gives each its reason.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(absl REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(RocksDB REQUIRED)
if(RocksDB_VERSION VERSION_GREATER_EQUAL 11.1 AND RocksDB_VERSION VERSION_LESS 11.6)
  message(FATAL_ERROR "RocksDB ${RocksDB_VERSION} deletes a live writer's files when a reader closes: "
                      "use 7.8 to 11.0, or 11.6 and later.")
endif()
find_package(simdjson REQUIRED)
find_package(benchmark REQUIRED)
if(BUILD_TESTING)
  find_package(GTest REQUIRED)
endif()
pkg_check_modules(zeromq REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(libzstd REQUIRED IMPORTED_TARGET libzstd)
find_package(ZLIB REQUIRED)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(httplib REQUIRED IMPORTED_TARGET cpp-httplib)
if(BUILD_TESTING)
  pkg_check_modules(yaml_cpp REQUIRED IMPORTED_TARGET yaml-cpp)
endif()

if(HALCYON_WITH_LIBTORCH)
  find_package(MPI REQUIRED COMPONENTS C)

  set(torch_dir ${HALCYON_LIBTORCH_DIR}/torch)
  if(NOT EXISTS ${torch_dir}/lib/libtorch_cpu.so)
    message(FATAL_ERROR "LibTorch not found in ${HALCYON_LIBTORCH_DIR}: run scripts/install-dependencies, "
                        "or pass -DHALCYON_LIBTORCH_DIR=DIR, or -DHALCYON_WITH_LIBTORCH=OFF.")
  endif()
  # libtorch.so would drag in libtorch_cuda.so; these two are enough on the CPU.
  foreach(part c10 torch_cpu)
    add_library(halcyon_${part}_import SHARED IMPORTED)
    set_target_properties(halcyon_${part}_import PROPERTIES IMPORTED_LOCATION ${torch_dir}/lib/lib${part}.so)
  endforeach()
  add_library(halcyon_libtorch INTERFACE)
  # -idirafter: the wheel's include folder carries fmt, google/... that must not hide Debian's.
  # nvcc does not know the option; no file of its includes LibTorch.
  target_compile_options(halcyon_libtorch INTERFACE
                         "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${torch_dir}/include>"
                         "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${torch_dir}/include/torch/csrc/api/include>")
  target_link_libraries(halcyon_libtorch INTERFACE halcyon_torch_cpu_import halcyon_c10_import)
  # An RPATH, which LD_LIBRARY_PATH does not override as it does a RUNPATH: another libc10.so in it, of a
  # Python installation for instance, must not take the place of ours.
  target_link_options(halcyon_libtorch INTERFACE -Wl,--disable-new-dtags
                      -Wl,-rpath-link,${HALCYON_LIBTORCH_DIR}/nvidia/cu13/lib
                      -Wl,-rpath-link,${torch_dir}/lib)
endif()
