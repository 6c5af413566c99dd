#include "tests/testing/source_tree.h"

#include <gtest/gtest.h>

namespace halcyon::testing {
namespace {

TEST(BlankCommentsAndLiterals, KeepsCodeAndLines) {
  EXPECT_EQ(BlankCommentsAndLiterals("a; // b\nc; /* d\ne */ f;"), "a;     \nc;     \n     f;");
  EXPECT_EQ(BlankCommentsAndLiterals(R"(f("a // \" b"); g)"), "f(" + std::string(11, ' ') + "); g");
  EXPECT_EQ(BlankCommentsAndLiterals("x = '\\''; y = 1'000'000;"), "x =     ; y = 1'000'000;");
  EXPECT_EQ(BlankCommentsAndLiterals("R\"x(a\" // )\" )x\" + b"), std::string(16, ' ') + " + b");
}

TEST(FunctionLengths, CountsBodiesOnly) {
  const auto lengths = FunctionLengths(
      "#define M(x) {\n"                                  // 1
      "namespace n {\n"                                   // 2
      "class C : public B {\n"                            // 3
      "  int inline_one() const { return x_; }\n"         // 4
      "  int x_ = 0;\n"                                   // 5
      "};\n"                                              // 6
      "constexpr int kTable[] = {\n"                      // 7
      "    f(1),\n"                                       // 8
      "};\n"                                              // 9
      "C::C(int a) : x_{a}, y_(std::vector<int>{1}) {\n"  // 10
      "  for (;;) {\n"                                    // 11
      "  }\n"                                             // 12
      "}\n"                                               // 13
      "int Last(\n"                                       // 14
      "    int a) {\n"                                    // 15
      "  const auto inner = [&] {\n"                      // 16
      "    return 1;\n"                                   // 17
      "  };\n"                                            // 18
      "}\n"                                               // 19
      "}\n");                                             // 20
  ASSERT_EQ(lengths.size(), 3u);
  EXPECT_EQ(lengths[0].line, 4);
  EXPECT_EQ(lengths[0].lines, 1);
  EXPECT_EQ(lengths[1].line, 10);
  EXPECT_EQ(lengths[1].lines, 4);
  EXPECT_EQ(lengths[2].line, 15);
  EXPECT_EQ(lengths[2].lines, 5);
}

TEST(UnnamedNamespaceNames, AreThoseOfFunctionsConstantsAndTypes) {
  const auto names = UnnamedNamespaceNames(
      "int before() { return 0; }\n"
      "namespace n {\n"
      "namespace {\n"
      "\n"
      "using json = nlohmann::json;\n"
      "struct Pair {\n"
      "  int inner = 0;\n"
      "};\n"
      "enum class Kind { kA };\n"
      "constexpr int kTable[] = {1, 2};\n"
      "constexpr int64_t kPlain = 1;\n"
      "const std::map<int, int> kMap = {\n"
      "    {1, 2},\n"
      "};\n"
      "template <typename T>\n"
      "void Generic(const T& t) {\n"
      "  int local = 0;\n"
      "}\n"
      "absl::StatusOr<std::pair<int, int>>\n"
      "OnTwoLines(int a,\n"
      "           int b) {\n"
      "}\n"
      "bool operator==(const Pair& a, const Pair& b) { return true; }\n"
      "void Pair::Defined() {}\n"
      "TEST(A, B) {\n"
      "}\n"
      "\n"
      "}\n"
      "int after() { return 0; }\n"
      "}\n");
  EXPECT_EQ(names, (std::set<std::string>{"Pair", "Kind", "kTable", "kPlain", "kMap", "Generic",
                                          "OnTwoLines"}));
}

TEST(SourceFile, FolderIsTheFirstPartOfThePath) {
  EXPECT_EQ((SourceFile{.path = "worker/cuda/a.cc"}).Folder(), "worker");
  EXPECT_EQ((SourceFile{.path = "README.md"}).Folder(), "");
}

}  // namespace
}  // namespace halcyon::testing
