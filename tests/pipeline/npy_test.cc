#include "pipeline/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/token_files/stored_ids.h"
#include "tests/pipeline/source_fixture.h"

namespace halcyon::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kAllIds = uint64_t{1} << 32;

class NpyTest : public ::testing::Test {
 protected:
  std::string Path() const { return dir_.Path("ids.npy"); }
  std::string Bytes() { return *Env::Posix()->ReadFile(Path()); }

  // A file as NumPy lays it out, with any header and data.
  void Put(const std::string& header, const std::string& data) {
    std::string file("\x93NUMPY\x01\x00", 8);
    file += static_cast<char>(header.size() & 0xFF);
    file += static_cast<char>(header.size() >> 8);
    PutBytes(file + header + data);
  }
  void PutBytes(const std::string& bytes) { PutFile(Path(), bytes); }
  std::string Error() {
    const auto values = ReadIds(*Env::Posix(), Path(), kAllIds);
    EXPECT_EQ(values.status().code(), absl::StatusCode::kInvalidArgument);
    return MessageOf(values.status());
  }

  testing::TempDir dir_;
};

TEST_F(NpyTest, WritesTheBytesThatNumPyWrites) {
  const std::vector<uint32_t> values = {1, 0x01020304, 0xFFFFFFFF};
  ASSERT_TRUE(WriteNpy(Path(), values).ok());
  // numpy.save of the same array.
  std::string expected("\x93NUMPY\x01\x00\x76\x00", 10);
  expected += "{'descr': '<u4', 'fortran_order': False, 'shape': (3,), }";
  expected += std::string(60, ' ') + "\n";
  expected += std::string("\x01\0\0\0\x04\x03\x02\x01\xFF\xFF\xFF\xFF", 12);
  EXPECT_EQ(Bytes(), expected);
}

TEST_F(NpyTest, ReadsBackWhatItWrote) {
  for (const size_t size : {0, 1, 2, 1000, 100000}) {
    std::vector<uint32_t> values(size);
    for (size_t i = 0; i < size; ++i) values[i] = static_cast<uint32_t>(i * 2654435761u);
    ASSERT_TRUE(WriteNpy(Path(), values).ok());
    EXPECT_EQ(*ReadIds(*Env::Posix(), Path(), kAllIds), values);
  }
}

TEST_F(NpyTest, TakesOtherOrdersOfTheHeader) {
  Put("{'shape':(2,),'descr':'<u4','fortran_order':True}\n", std::string("\1\0\0\0\2\0\0\0", 8));
  EXPECT_THAT(*ReadIds(*Env::Posix(), Path(), kAllIds), ElementsAre(1u, 2u));
  Put("{ 'shape' : (0,) , 'fortran_order' : False , 'descr' : '<u4' , }", "");
  EXPECT_THAT(*ReadIds(*Env::Posix(), Path(), kAllIds), IsEmpty());
}

TEST_F(NpyTest, SaysWhatElseItFound) {
  Put("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", std::string(8, '\0'));
  EXPECT_THAT(Error(), HasSubstr("type '<f8' and shape (1,)"));
  Put("{'descr': '<u4', 'fortran_order': False, 'shape': (1, 2), }", std::string(8, '\0'));
  EXPECT_THAT(Error(), HasSubstr("shape (1, 2)"));
  Put("{'descr': '>u4', 'fortran_order': False, 'shape': (1,), }", std::string(4, '\0'));
  EXPECT_THAT(Error(), HasSubstr("'>u4'"));
  Put("{'descr': '<u4', 'fortran_order': False, 'shape': (2,), }", std::string(4, '\0'));
  EXPECT_THAT(Error(), HasSubstr("4 bytes of data for 2 ids"));
  Put("{'descr': '<u4', 'fortran_order': False, 'shape': (4611686018427387905,), }",
      std::string(4, '\0'));
  EXPECT_THAT(Error(), HasSubstr("4 bytes of data"));
}

TEST_F(NpyTest, RefusesDamagedFiles) {
  for (const char* header :
       {"", "{", "{}", "{'descr': '<u4'}", "{'descr': '<u4', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '<u4', 'fortran_order': 7, 'shape': (1,), }",
        "{'descr': '<u4', 'descr': '<u4', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<u4', 'fortran_order': False, 'shape': (1,), 'more': 1, }",
        "{'descr': '<u4', 'fortran_order': False, 'shape': (1,), } x",
        "{'descr' '<u4', 'fortran_order': False, 'shape': (1,), }"}) {
    Put(header, std::string(4, '\0'));
    EXPECT_THAT(Error(), HasSubstr("damaged")) << header;
  }
  for (const std::string& bytes : {std::string(), std::string("\x93NUMPY"), std::string("PK\3\4"),
                                   std::string("\x93NUMPY\x02\x00\x10\x00\x00\x00", 12)}) {
    PutBytes(bytes);
    EXPECT_THAT(Error(), HasSubstr("not a NumPy file of version 1.0"));
  }
  PutBytes(std::string("\x93NUMPY\x01\x00\xFF\xFF{}", 12));
  EXPECT_THAT(Error(), HasSubstr("damaged"));
}

TEST_F(NpyTest, AMissingFileIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(ReadIds(*Env::Posix(), Path(), kAllIds).status()));
}

}  // namespace
}  // namespace halcyon::pipeline
