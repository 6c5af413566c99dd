#include "coordinator/page/page_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "coordinator/page/serve_page.h"
#include "tests/coordinator/page/home_fixture.h"

namespace halcyon::coordinator {
namespace {

using ::testing::HasSubstr;

class PageServerTest : public ::testing::Test {
 protected:
  PageServerTest() {
    EXPECT_TRUE(fixture_.Write(HomeFixture::Running(Clock::Real()->WallMs())).ok());
    auto server = PageServer::Start(*ParseListenAddress("127.0.0.1:0"), &view_);
    EXPECT_TRUE(server.ok()) << server.status();
    if (server.ok()) server_ = *std::move(server);
  }
  httplib::Client Client() { return httplib::Client("127.0.0.1", server_->address().port); }
  httplib::Result Get(const std::string& path, const httplib::Headers& headers = {}) {
    return Client().Get(path, headers);
  }

  HomeFixture fixture_;
  HomeView view_{*Env::Posix(), *Clock::Real(), fixture_.home(), fixture_.Lister()};
  std::unique_ptr<PageServer> server_;
};

TEST(ListenAddressTest, TakesAddressesInDigits) {
  struct Case {
    const char *text, *url;
    bool is_loopback;
  };
  for (const Case& one :
       {Case{"127.0.0.1:8080", "http://127.0.0.1:8080/", true},
        Case{"localhost:0", "http://127.0.0.1:0/", true},
        Case{"[::1]:65535", "http://[::1]:65535/", true},
        Case{"0.0.0.0:80", "http://0.0.0.0:80/", false}, Case{"[::]:80", "http://[::]:80/", false},
        Case{"10.1.2.3:1", "http://10.1.2.3:1/", false}}) {
    const auto address = ParseListenAddress(one.text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->Url(), one.url);
    EXPECT_EQ(address->is_loopback, one.is_loopback) << one.text;
  }
}

TEST(ListenAddressTest, RefusesOthers) {
  for (const char* text : {"", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                           "127.0.0.1:8o", "127.0.0.1:-1", "example.org:80", "::1:80", "[::1:80",
                           "[]:80", "[127.0.0.1]:80", "[::1%lo]:80"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseListenAddress(text).status())) << text;
  }
}

TEST(ServePageTest, OtherMachinesAreServedOnRequestOnly) {
  const absl::Status status = ServePage({"0.0.0.0:0", false}, {"/none"}, nullptr, nullptr);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(MessageOf(status), HasSubstr("--http-public"));
}

TEST_F(PageServerTest, ServesThePageAndWhatItAsksFor) {
  const auto page = Get("/");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->status, 200);
  EXPECT_EQ(page->get_header_value("Content-Type"), "text/html; charset=utf-8");
  EXPECT_THAT(page->get_header_value("Content-Security-Policy"), HasSubstr("default-src 'none'"));
  EXPECT_THAT(page->body, HasSubstr("async function showJob"));
  EXPECT_EQ(page->body.find("{{"), std::string::npos);
  const auto jobs = Get("/api/jobs");
  ASSERT_TRUE(jobs);
  EXPECT_EQ(jobs->get_header_value("Content-Type"), "application/json");
  EXPECT_EQ(nlohmann::json::parse(jobs->body).at("jobs").at(0).at("name"), "quick");
  const auto job = Get("/api/jobs/quick%2D3f2a91c0");
  ASSERT_TRUE(job);
  EXPECT_EQ(nlohmann::json::parse(job->body).at("job").at("job_id"), "quick-3f2a91c0");
  const auto curves = Get("/api/jobs/quick-3f2a91c0/curves/model");
  ASSERT_TRUE(curves);
  EXPECT_EQ(curves->body, R"({"curves":{}})");
  const auto metrics = Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_THAT(metrics->body, HasSubstr("halcyon_job_state{job=\"quick-3f2a91c0\""));
  EXPECT_THAT(metrics->get_header_value("Content-Type"), HasSubstr("version=0.0.4"));
}

TEST_F(PageServerTest, RefusesWhatIsNotThereAndWhatWouldChangeAnything) {
  for (const char* path : {"/x", "/api", "/api/jobs/", "/api/jobs/none", "/../etc/passwd",
                           "/api/jobs/..%2f..%2fx", "/api/jobs/quick-3f2a91c0/curves/none"}) {
    const auto answer = Get(path);
    ASSERT_TRUE(answer) << path;
    EXPECT_EQ(answer->status, 404) << path;
  }
  const auto posted = Client().Post("/api/jobs", "x", "text/plain");
  ASSERT_TRUE(posted);
  EXPECT_EQ(posted->status, 405);
  const auto removed = Client().Delete("/api/jobs/quick-3f2a91c0");
  ASSERT_TRUE(removed);
  EXPECT_EQ(removed->status, 405);
  EXPECT_TRUE(Env::Posix()->Exists(StatusPath(fixture_.home(), "quick-3f2a91c0")));
}

TEST_F(PageServerTest, AnswersUnderThisMachinesNamesOnly) {
  for (const char* host : {"localhost", "localhost:8000", "127.0.0.1", "127.9.9.9:1", "[::1]:80"}) {
    const auto answer = Get("/", {{"Host", host}});
    ASSERT_TRUE(answer) << host;
    EXPECT_EQ(answer->status, 200) << host;
  }
  for (const char* host : {"example.org", "localhost.example.org", "127.0.0.1.example.org:80",
                           "10.0.0.1", "[::2]:80", "128.0.0.1"}) {
    const auto answer = Get("/api/jobs", {{"Host", host}});
    ASSERT_TRUE(answer) << host;
    EXPECT_EQ(answer->status, 403) << host;
    EXPECT_EQ(answer->body.find("quick"), std::string::npos);
  }
}

TEST_F(PageServerTest, APortIsNotSharedWithAnotherServer) {
  const auto second = PageServer::Start(server_->address(), &view_);
  EXPECT_TRUE(absl::IsInvalidArgument(second.status())) << second.status();
}

TEST_F(PageServerTest, AFolderThatCannotBeReadIsSaid) {
  HomeView broken(*Env::Posix(), *Clock::Real(), fixture_.home(),
                  [](std::vector<std::string>*) -> absl::StatusOr<std::vector<JobStatus>> {
                    return Unavailable("the disk is away");
                  });
  server_ = *PageServer::Start(*ParseListenAddress("127.0.0.1:0"), &broken);
  const auto answer = Get("/api/jobs");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->body, "the disk is away\n");
  server_.reset();
}

}  // namespace
}  // namespace halcyon::coordinator
