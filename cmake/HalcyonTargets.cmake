# How every target of this project is made. The link list of a target is the rule for what its
# folder may include; tests/tidy_test.cc checks the includes against the same rule.

find_program(HALCYON_CCACHE ccache)
if(HALCYON_CCACHE)
  # What ccache asks for with precompiled headers. Not more: a file that was changed while it was compiled,
  # as part of a unity file, must not be kept as what the changed file gives.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${HALCYON_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()

add_library(halcyon_options INTERFACE)
# -Wno-restrict: g++ 12 reports it for a literal + std::string (its bug 105651).
target_compile_options(halcyon_options INTERFACE -Wall -Wextra -Werror
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
# Locks are annotated (base/mutex.h); only clang reads that.
target_compile_options(halcyon_options INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
target_include_directories(halcyon_options INTERFACE ${CMAKE_SOURCE_DIR})
if(HALCYON_SANITIZE)
  target_compile_options(halcyon_options INTERFACE -fsanitize=${HALCYON_SANITIZE}
                         -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(halcyon_options INTERFACE -fsanitize=${HALCYON_SANITIZE})
endif()

# A compilation of one file spends most of its time on the templates of its headers, the same ones as its
# neighbour's: several files a compilation cost little more than one. Names in unnamed namespaces must
# therefore differ within a library; tests/tidy_test.cc checks it. The build with ThreadSanitizer compiles
# file by file, which shows a file that relies on its neighbour's includes.
option(HALCYON_UNITY "Compile up to eight files of a library at once" ON)

# Compiles the files of a target in batches of about the same size.
function(halcyon_batches target)
  get_target_property(sources ${target} SOURCES)
  list(LENGTH sources count)
  if(NOT HALCYON_UNITY OR count EQUAL 1)
    return()
  endif()
  math(EXPR batches "(${count} + 7) / 8")
  math(EXPR batch_size "(${count} + ${batches} - 1) / ${batches}")
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${batch_size})
endfunction()

# halcyon_library(NAME SOURCES a.cc ... [PUBLIC lib ...] [PRIVATE lib ...])
function(halcyon_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  halcyon_batches(${name})
  target_link_libraries(${name} PUBLIC ${arg_PUBLIC} PRIVATE halcyon_options ${arg_PRIVATE})
endfunction()

# halcyon_program(NAME SOURCES a.cc ... LINKS lib ...)
function(halcyon_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE halcyon_options ${arg_LINKS})
endfunction()

# halcyon_test(NAME SOURCES a_test.cc ... LINKS lib ... [LABELS label ...] [TIMEOUT seconds])
# One program, one ctest entry.
function(halcyon_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINKS;LABELS" ${ARGN})
  halcyon_program(${name} SOURCES ${arg_SOURCES} LINKS ${arg_LINKS} GTest::gmock_main)
  # -O1 takes a third less time to compile; code whose speed matters is in the libraries.
  target_compile_options(${name} PRIVATE -O1)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(HALCYON_SANITIZE)
    math(EXPR arg_TIMEOUT "5 * ${arg_TIMEOUT}")
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
endfunction()
