// Endpoints, and the files that hold them and the keys.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "cluster/contact.h"
#include "cluster/curve_keys.h"
#include "cluster/endpoint.h"
#include "cluster/private_file.h"
#include "tests/testing/mutate.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::cluster {
namespace {

using ::testing::HasSubstr;

mode_t ModeOf(const std::string& path) {
  struct stat status;
  EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

std::string NewCurveKey() {
  const auto keys = MakeCurveKeys();
  EXPECT_TRUE(keys.ok()) << keys.status();
  return keys->server.public_key;
}

class PrivateFilesTest : public ::testing::Test {
 protected:
  const testing::TempDir dir_;
  const std::string path_ = dir_.Path("file");
};

TEST_F(PrivateFilesTest, AreMadeForTheirOwnerAlone) {
  const mode_t before = umask(0);
  ASSERT_TRUE(WritePrivateFile(path_, "first").ok());
  EXPECT_EQ(ModeOf(path_), 0600u);
  ASSERT_EQ(chmod(path_.c_str(), 0644), 0);
  ASSERT_TRUE(WritePrivateFile(path_, "second").ok());
  EXPECT_EQ(ModeOf(path_), 0600u) << "the file is another one";
  umask(before);
  EXPECT_EQ(*ReadPrivateFile(path_, 6), "second");
  EXPECT_TRUE(absl::IsInvalidArgument(ReadPrivateFile(path_, 5).status()));
}

TEST_F(PrivateFilesTest, ThatOthersMayReadAreRefused) {
  ASSERT_TRUE(WritePrivateFile(path_, "x").ok());
  for (const mode_t mode : {0640, 0604, 0620, 0602, 0644}) {
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
    const auto read = ReadPrivateFile(path_, 10);
    EXPECT_TRUE(absl::IsFailedPrecondition(read.status())) << mode;
    EXPECT_THAT(MessageOf(read.status()), HasSubstr("chmod 600"));
  }
}

TEST_F(PrivateFilesTest, ThatAreNoFilesAreRefused) {
  EXPECT_TRUE(absl::IsNotFound(ReadPrivateFile(path_, 10).status()));
  ASSERT_TRUE(WritePrivateFile(path_, "x").ok());
  const std::string link = dir_.Path("link"), pipe = dir_.Path("pipe");
  ASSERT_EQ(symlink(path_.c_str(), link.c_str()), 0);
  EXPECT_FALSE(ReadPrivateFile(link, 10).ok());
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(MessageOf(ReadPrivateFile(pipe, 10).status()), HasSubstr("not a regular file"));
}

TEST_F(PrivateFilesTest, ThatBelongToAnotherAreRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file to another user";
  ASSERT_TRUE(WritePrivateFile(path_, "x").ok());
  ASSERT_EQ(chown(path_.c_str(), 12345, static_cast<gid_t>(-1)), 0);
  EXPECT_THAT(MessageOf(ReadPrivateFile(path_, 10).status()), HasSubstr("user 12345"));
}

TEST_F(PrivateFilesTest, WhatALinkInTheWayNamesIsNotTouched) {
  const std::string other = dir_.Path("other");
  std::ofstream(other) << "kept";
  ASSERT_EQ(symlink(other.c_str(), (path_ + ".tmp").c_str()), 0);
  ASSERT_TRUE(WritePrivateFile(path_, "key").ok());
  EXPECT_EQ(*Env::Posix()->ReadFile(other), "kept");
}

// --- keys ---

TEST_F(PrivateFilesTest, KeysAreMadeOnceAndReadBack) {
  const auto made = ReadOrMakeCurveKeys(path_);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE(IsCurveKey(made->worker.secret_key));
  EXPECT_NE(made->server.public_key, made->worker.public_key);
  EXPECT_NE(made->server.secret_key, made->server.public_key);
  EXPECT_EQ(*ReadOrMakeCurveKeys(path_), *made);
  EXPECT_NE(*MakeCurveKeys(), *made);
  EXPECT_EQ(ModeOf(path_), 0600u);
}

TEST_F(PrivateFilesTest, KeysThatOthersMayReadAreNotReplaced) {
  ASSERT_TRUE(ReadOrMakeCurveKeys(path_).ok());
  ASSERT_EQ(chmod(path_.c_str(), 0644), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(ReadOrMakeCurveKeys(path_).status()));
}

TEST_F(PrivateFilesTest, DamagedKeysAreRefused) {
  ASSERT_TRUE(ReadOrMakeCurveKeys(path_).ok());
  const std::string good = *Env::Posix()->ReadFile(path_);
  int refused = 0;
  for (uint64_t mutant = 0; mutant < 2000; ++mutant) {
    const std::string bad = testing::Mutate(good, mutant);
    if (nlohmann::json::parse(bad, nullptr, false) == nlohmann::json::parse(good)) continue;
    std::ofstream(path_) << bad;  // keeps its mode
    const auto keys = ReadCurveKeys(path_);
    if (keys.ok()) continue;  // a member that nobody reads
    EXPECT_THAT(MessageOf(keys.status()), HasSubstr("no CURVE keys"));
    EXPECT_EQ(MessageOf(keys.status()).find("secret"), std::string::npos);
    ++refused;
  }
  EXPECT_GT(refused, 1000);
}

TEST_F(PrivateFilesTest, AVariableNamesAnotherPlaceForTheKeys) {
  ASSERT_EQ(unsetenv(kCurveFileVariable), 0);
  EXPECT_EQ(CurveFile("/jobs/a"), "/jobs/a/curve.json");
  ASSERT_EQ(setenv(kCurveFileVariable, "/run/keys.json", 1), 0);
  EXPECT_EQ(CurveFile("/jobs/a"), "/run/keys.json");
  ASSERT_EQ(unsetenv(kCurveFileVariable), 0);
}

// --- contacts ---

TEST_F(PrivateFilesTest, ContactsAreReadAsWritten) {
  const std::string key = NewCurveKey();
  for (const Contact& contact :
       {Contact{Incarnation(7), "ipc:///home/with space/\xC3\xA9/socket", ""},
        Contact{Incarnation(1), "tcp://10.0.0.7:40123", key},
        Contact{Incarnation(2), "tcp://[fd00::7]:40123", key},
        Contact{Incarnation(3), "tcp://127.0.0.1:40123", ""}}) {
    const absl::Status written = WriteContact(path_, contact);
    ASSERT_TRUE(written.ok()) << written;
    EXPECT_EQ(*ReadContact(path_), contact);
    EXPECT_EQ(ModeOf(path_), 0600u);
  }
  EXPECT_TRUE(absl::IsInvalidArgument(
      WriteContact(path_, {Incarnation(1), "ipc:///not utf-8: \xFF/socket", ""})));
}

TEST(Contact, BadOnesAreRefused) {
  for (const char* text : {"", "[]", "{}", R"({"incarnation": 1})", R"({"endpoint": "ipc:///x"})",
                           R"({"incarnation": -1, "endpoint": "ipc:///x"})",
                           R"({"incarnation": "1", "endpoint": "ipc:///x"})",
                           R"({"incarnation": 1, "endpoint": "ipc://x"})",
                           R"({"incarnation": 1, "endpoint": "tcp://10.0.0.7:1"})",
                           R"({"incarnation": 1, "endpoint": "ipc:///x", "server_key": ""})",
                           R"({"incarnation": 1, "endpoint": "ipc:///x", "server_key": 5})",
                           R"({"incarnation": 1, "endpoint": "ipc:///x\u001b[2J"})"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseContact(text).status())) << text;
  }
  EXPECT_THAT(
      MessageOf(ParseContact(R"({"incarnation": 1, "endpoint": "tcp://10.0.0.7:1"})").status()),
      HasSubstr("in clear"));
}

TEST(Contact, AnyBytesAreReadOrRefused) {
  const std::string good =
      R"({"incarnation": 12, "endpoint": "tcp://10.0.0.7:40123", "server_key": ")" + NewCurveKey() +
      "\"}";
  ASSERT_TRUE(ParseContact(good).ok());
  for (uint64_t mutant = 0; mutant < 20'000; ++mutant) {
    const auto contact = ParseContact(testing::Mutate(good, mutant));
    if (!contact.ok()) continue;
    const auto endpoint = ParseEndpoint(contact->endpoint);
    ASSERT_TRUE(endpoint.ok());
    EXPECT_TRUE(endpoint->is_local() || IsCurveKey(contact->server_key)) << mutant;
  }
}

// --- endpoints ---

TEST(EndpointTest, IsReadAsWritten) {
  EXPECT_EQ(ParseEndpoint("ipc:///a b/c")->path, "/a b/c");
  const auto any = ParseEndpoint("tcp://*:*");
  EXPECT_TRUE(any->is_tcp);
  EXPECT_EQ(any->host, "*");
  EXPECT_EQ(any->port, "*");
  const auto six = ParseEndpoint("tcp://[fd00::7]:1");
  EXPECT_EQ(six->host, "[fd00::7]");
  EXPECT_TRUE(six->is_ipv6());
  for (const char* text :
       {"tcp://", "tcp://a", "tcp://:1", "tcp://a:", "tcp://a:x", "tcp://a:70000", "tcp://a:-1",
        "tcp://a b:1", "tcp://a/b:1", "tcp://fd00::7:1", "tcp://[fd00:1", "tcp://a;b:1", "ipc://",
        "ipc://x", "http://a:1", "ipc:///a\nb"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseEndpoint(text).status())) << text;
  }
}

TEST(EndpointTest, OnlyThisMachineReachesLoopback) {
  for (const char* text : {"ipc:///a", "tcp://127.0.0.1:1", "tcp://127.9.9.9:*", "tcp://[::1]:1"}) {
    EXPECT_TRUE(ParseEndpoint(text)->is_local()) << text;
  }
  for (const char* text : {"tcp://*:1", "tcp://0.0.0.0:1", "tcp://128.0.0.1:1", "tcp://[::]:1",
                           "tcp://localhost:1", "tcp://127.0.0.1.example.org:1", "tcp://lo:1"}) {
    EXPECT_FALSE(ParseEndpoint(text)->is_local()) << text;
  }
}

}  // namespace
}  // namespace halcyon::cluster
