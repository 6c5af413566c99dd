#include "coordinator/cli/command_line.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/file_descriptor.h"
#include "coordinator/cli/commands.h"
#include "coordinator/job_status.h"
#include "tests/coordinator/whole_graph.h"

namespace halcyon::coordinator {
namespace {

class CommandLineTest : public testing::Test {
 protected:
  CommandLineTest() : root_(testing::TempDir() + "halcyon-cli-" + std::to_string(getpid())) {
    EXPECT_TRUE(env_.CreateDirs(root_).ok());
  }
  ~CommandLineTest() override { EXPECT_TRUE(env_.RemoveTree(root_).ok()); }

  std::string Path(const std::string& name) { return JoinPath(root_, name); }
  void Write(const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(WriteFileAtomically(env_, Path(name), bytes).ok());
  }
  // Runs the command and keeps what it printed.
  int Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"halcyon", "--home", Path("home")});
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = RunCommandLine(static_cast<int>(argv.size()), argv.data());
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }

  Env& env_ = *Env::Posix();
  std::string root_, out_, err_;
};

TEST_F(CommandLineTest, HelpIsThereForEveryCommand) {
  EXPECT_EQ(Run({"--help"}), 0);
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"init"},
                                             {"run"},
                                             {"submit"},
                                             {"wait"},
                                             {"cancel"},
                                             {"resume"},
                                             {"coordinator"},
                                             {"drill"},
                                             {"validate"},
                                             {"list"},
                                             {"status"},
                                             {"watch"},
                                             {"logs"},
                                             {"metrics"},
                                             {"plot"},
                                             {"rm"},
                                             {"cache"},
                                             {"cache", "list"},
                                             {"cache", "verify"},
                                             {"cache", "explain"},
                                             {"checkpoint"},
                                             {"checkpoint", "list"},
                                             {"checkpoint", "verify"},
                                             {"checkpoint", "import"},
                                             {"checkpoint", "export"},
                                             {"probe"},
                                             {"tokenizer"},
                                             {"tokenizer", "train"},
                                             {"tokenizer", "encode"},
                                             {"tokenizer", "decode"},
                                             {"eval"},
                                             {"generate"}}) {
    std::vector<std::string> words = command;
    words.push_back("--help");
    EXPECT_EQ(Run(words), 0) << command.back();
    EXPECT_NE(out_.find("-h,--help"), std::string::npos) << command.back();
    EXPECT_EQ(err_, "") << command.back();
    // How the library prints the maps and checks behind a choice.
    for (const char* noise : {"->", ":value in", " OR ", ":{", "=[]"}) {
      EXPECT_EQ(out_.find(noise), std::string::npos) << out_;
    }
  }
}

TEST_F(CommandLineTest, HelpNamesChoicesAndDefaults) {
  EXPECT_EQ(Run({"tokenizer", "train", "--help"}), 0);
  EXPECT_NE(out_.find("--format {text,jsonl}=text"), std::string::npos) << out_;
  EXPECT_NE(out_.find("--documents {file,lines,paragraphs,entries}=file"), std::string::npos);
  EXPECT_NE(out_.find("--pattern {gpt2,llama3,cl100k,o200k}=gpt2"), std::string::npos) << out_;
  EXPECT_NE(out_.find("=8192"), std::string::npos) << out_;
  EXPECT_EQ(Run({"generate", "--help"}), 0);
  EXPECT_NE(out_.find("--algorithm {batch,exact}=batch"), std::string::npos) << out_;
  EXPECT_NE(out_.find("--temperature NUMBER=0.5"), std::string::npos) << out_;
  EXPECT_EQ(Run({"generate", "--algorithm", "guess"}), 2);
  EXPECT_NE(err_.find("\"guess\" is not one of batch,exact"), std::string::npos) << err_;
  EXPECT_EQ(Run({"logs", "--help"}), 0);
  EXPECT_NE(out_.find("=200"), std::string::npos) << out_;
  EXPECT_EQ(Run({"tokenizer", "train", "--input", "x", "--output", "y", "--format", "xml"}), 2);
  EXPECT_EQ(err_, "error: --format: \"xml\" is not one of text,jsonl; see halcyon --help\n");
}

TEST_F(CommandLineTest, TheVersionIsTheProjects) {
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_EQ(out_, "halcyon " + Version() + "\n");
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '.'), 2) << out_;
}

TEST_F(CommandLineTest, ASettingOfTheCommandLineIsCheckedLikeTheFile) {
  Write("text.txt", "some text\n");
  Write("job.toml", "name = \"x\"\n[data]\nsources = [\"text.txt\"]\n");
  ASSERT_EQ(Run({"validate", Path("job.toml"), "--json", "--set", "train.steps=200", "--set",
                 "model.head=flow"}),
            0)
      << err_;
  const std::string resolved = nlohmann::json::parse(out_)["resolved"];
  EXPECT_NE(resolved.find("\nsteps = 200\n"), std::string::npos) << resolved;
  EXPECT_NE(resolved.find("\nhead = \"flow\"\n"), std::string::npos) << resolved;
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"run"}, {"validate"}, {"cache", "explain"}}) {
    std::vector<std::string> words = command;
    words.insert(words.end(), {"--set", "train.stesp=3", Path("job.toml")});
    EXPECT_EQ(Run(words), 2);
    EXPECT_EQ(err_, "error: --set train.stesp: unknown key; did you mean \"steps\"?\n");
  }
  EXPECT_FALSE(env_.Exists(Path("home")));
}

TEST_F(CommandLineTest, MisuseIsAnErrorLineAndCode2) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {},
           {"trian"},
           {"run"},
           {"list", "--jsno"},
           {"cache"},
           {"tokenizer", "encode"},
           {"tokenizer", "train", "--input", "x", "--output", "y", "--pattern", "gpt9"}}) {
    EXPECT_EQ(Run(words), 2) << testing::PrintToString(words);
    EXPECT_TRUE(err_.starts_with("error: ")) << err_;
    EXPECT_EQ(out_, "");
  }
}

TEST_F(CommandLineTest, ABadJobFileStartsNothing) {
  EXPECT_EQ(Run({"run", Path("missing.toml")}), 2);
  EXPECT_NE(err_.find("missing.toml"), std::string::npos) << err_;
  Write("job.toml", "nmae = \"x\"\n");
  EXPECT_EQ(Run({"run", Path("job.toml")}), 2);
  EXPECT_NE(err_.find("job.toml:1"), std::string::npos) << err_;
  EXPECT_EQ(Run({"validate", Path("job.toml"), "--json"}), 2);
  EXPECT_EQ(nlohmann::json::parse(out_)["valid"], false);
  EXPECT_FALSE(env_.Exists(Path("home")));
}

TEST_F(CommandLineTest, ReadingCommandsMakeNoFolder) {
  EXPECT_EQ(Run({"list"}), 0);
  EXPECT_EQ(out_, "no job in " + Path("home") + "\n");
  EXPECT_EQ(Run({"list", "--json"}), 0);
  EXPECT_TRUE(nlohmann::json::parse(out_)["jobs"].empty());
  EXPECT_EQ(Run({"cache", "list", "--json"}), 0);
  EXPECT_EQ(Run({"cache", "verify"}), 0);
  EXPECT_EQ(Run({"checkpoint", "list"}), 0);
  EXPECT_EQ(Run({"status"}), 2);
  EXPECT_TRUE(err_.starts_with("error: no job in ")) << err_;
  EXPECT_EQ(Run({"rm", "quick-1"}), 2);
  EXPECT_EQ(Run({"logs"}), 2);
  EXPECT_EQ(Run({"watch"}), 2);
  EXPECT_EQ(Run({"metrics"}), 2);
  EXPECT_EQ(Run({"plot"}), 2);
  EXPECT_EQ(Run({"status", "quick-1"}), 2);
  EXPECT_TRUE(err_.starts_with("error: no job quick-1 in ")) << err_;
  EXPECT_FALSE(env_.Exists(Path("home")));
}

TEST_F(CommandLineTest, AStateFolderThatCannotBeReadIsNotAnEmptyOne) {
  const std::vector<std::vector<std::string>> looks = {
      {"list"}, {"list", "--json"}, {"status"}, {"cache", "list"}, {"checkpoint", "list"}};
  const auto expect_error = [&](const std::string& part) {
    for (const auto& words : looks) {
      EXPECT_EQ(Run(words), 2) << words[0];
      EXPECT_NE(err_.find(part), std::string::npos) << err_;
      EXPECT_NE(err_.find(Path("home")), std::string::npos) << err_;
    }
  };
  Write("home", "no folder");
  expect_error("is not a folder");
  ASSERT_TRUE(env_.RemoveFile(Path("home")).ok());
  ASSERT_EQ(symlink("home", Path("home").c_str()), 0);  // a link to itself
  expect_error("cannot read the state folder");
}

TEST_F(CommandLineTest, OneOddJobDoesNotHideTheOthers) {
  const storage::HomeLayout home{Path("home")};
  for (const char* id : {"good-1", "odd-2"}) {
    ASSERT_TRUE(env_.CreateDirs(home.Job(id)).ok());
    ASSERT_TRUE(WriteJobStatus(env_, home, NewJobStatus(id, id, WholeGraph())).ok());
  }
  ASSERT_TRUE(WriteFileAtomically(env_, StatusPath(home, "odd-2"), "{\"job_id\": 3}").ok());
  EXPECT_EQ(Run({"list"}), 0) << err_;
  EXPECT_NE(out_.find("good-1"), std::string::npos) << out_;
  EXPECT_NE(out_.find("odd-2/status.json"), std::string::npos) << out_;
  EXPECT_EQ(Run({"list", "--json"}), 0) << err_;
  const auto list = nlohmann::json::parse(out_);
  EXPECT_EQ(list["jobs"].size(), 1u);
  EXPECT_EQ(list["unreadable"].size(), 1u);
}

TEST_F(CommandLineTest, NumbersOutsideTheirRangeAreErrorsBeforeAnythingStarts) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"eval", "--windows", "0"},
           {"eval", "--samples", "1"},
           {"eval", "--seed", "9223372036854775808"},
           {"eval", "--noise-std", "nan"},
           {"generate", "--temperature", "0"},
           {"generate", "--temperature", "inf"},
           {"generate", "--tokens", "1e3"},
           {"generate", "--chunks", "99999999999999999999"},
           {"generate", "--texts", "3.5"},
           {"generate", "--batch", "0"},
           {"generate", "--draws=-1"},
           {"generate", "--max-draws", "many"},
           {"tokenizer", "train", "--input", "x", "--output", "y", "--vocab-size", "258"},
           {"tokenizer", "train", "--input", "x", "--output", "y", "--vocab-size", "0x400"},
           {"tokenizer", "encode", "--tokenizer", "x", "--input", "x", "--output", "y", "--threads",
            "1025"}}) {
    EXPECT_EQ(Run(words), 2) << testing::PrintToString(words);
    EXPECT_NE(err_.find(" is not a "), std::string::npos) << err_;
    EXPECT_NE(err_.find("error: --"), std::string::npos) << err_;
  }
}

TEST_F(CommandLineTest, AResultThatCannotBeWrittenIsAnError) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"list"}, {"cache", "list", "--json"}, {"--help"}}) {
    const FileDescriptor before(dup(STDOUT_FILENO));
    const auto full = FileDescriptor::Open("/dev/full", O_WRONLY);
    ASSERT_EQ(dup2(full->get(), STDOUT_FILENO), STDOUT_FILENO);
    std::vector<const char*> argv = {"halcyon"};
    const std::string home = "--home=" + Path("home");
    argv.push_back(home.c_str());
    for (const std::string& word : words) argv.push_back(word.c_str());
    testing::internal::CaptureStderr();
    const int code = RunCommandLine(static_cast<int>(argv.size()), argv.data());
    err_ = testing::internal::GetCapturedStderr();
    ASSERT_EQ(dup2(before.get(), STDOUT_FILENO), STDOUT_FILENO);
    EXPECT_EQ(code, 5) << words[0];
    EXPECT_EQ(err_,
              "error: cannot write standard output: No space left on device; free some space and "
              "run the same command again\n");
  }
  EXPECT_EQ(Run({"list"}), 0) << "the failure is forgotten";
}

TEST_F(CommandLineTest, ExplainSaysWhatWouldBeMade) {
  Write("text.txt", "some text\n");
  Write("job.toml", "name = \"x\"\n[data]\nsources = [\"text.txt\"]\n");
  ASSERT_EQ(Run({"validate", Path("job.toml")}), 0) << err_;
  ASSERT_EQ(Run({"cache", "explain", Path("job.toml"), "--json"}), 0) << err_;
  const auto stages = nlohmann::json::parse(out_)["stages"];
  ASSERT_EQ(stages.size(), 6u);
  for (const auto& stage : stages) {
    EXPECT_EQ(stage["reused"], false);
    EXPECT_EQ(stage["why"], "none made before");
  }
  EXPECT_NE(stages[0]["fingerprint"], "");
  EXPECT_EQ(stages[1]["fingerprint"], "") << "the tokenizer's digest is not known";
}

TEST_F(CommandLineTest, ATokenizerTrainsEncodesAndDecodes) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "the water of the river " + std::to_string(i) + "\n";
  Write("text.txt", text);
  ASSERT_EQ(Run({"tokenizer", "train", "--input", Path("text.txt"), "--vocab-size", "270",
                 "--output", Path("tokenizer.json"), "--json"}),
            0)
      << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["vocab_size"], 270);
  ASSERT_EQ(Run({"tokenizer", "encode", "--tokenizer", Path("tokenizer.json"), "--input",
                 Path("text.txt"), "--format", "text", "--output", Path("ids.npy"), "--counts",
                 Path("counts.npy"), "--json"}),
            0)
      << err_;
  const auto encoded = nlohmann::json::parse(out_);
  EXPECT_EQ(encoded["documents"], 1);
  EXPECT_LT(encoded["tokens"].get<size_t>(), text.size() / 2);
  ASSERT_EQ(Run({"tokenizer", "decode", "--tokenizer", Path("tokenizer.json"), "--input",
                 Path("ids.npy")}),
            0)
      << err_;
  EXPECT_EQ(out_, text);
  ASSERT_EQ(Run({"tokenizer", "decode", "--tokenizer", Path("tokenizer.json"), "--input",
                 Path("ids.npy"), "--output", Path("back.txt")}),
            0)
      << err_;
  EXPECT_EQ(*env_.ReadFile(Path("back.txt")), text);
}

TEST_F(CommandLineTest, InitWritesAJobThatValidatesAndNeverOverAnother) {
  std::string paragraphs;
  for (int i = 0; i < 200; ++i) paragraphs += "Some words.\nAnd more.\n\n";
  Write("own text.txt", paragraphs);
  const std::string folder = Path("my jobs"), job = JoinPath(folder, "job.toml");
  EXPECT_EQ(Run({"init", folder, "--source", Path("own text.txt")}), 0) << err_;
  EXPECT_NE(out_.find("halcyon run " + job), std::string::npos) << out_;
  const std::string text = *env_.ReadFile(job);
  EXPECT_NE(text.find("name = \"my-jobs\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find("documents = \"paragraphs\""), std::string::npos) << text;
  EXPECT_EQ(Run({"validate", job}), 0) << err_;
  EXPECT_EQ(Run({"init", folder, "--source", Path("own text.txt")}), 2);
  EXPECT_NE(err_.find("job.toml is there already"), std::string::npos) << err_;
  EXPECT_EQ(*env_.ReadFile(job), text);
}

TEST_F(CommandLineTest, InitTakesTheTextsOfTheFolder) {
  EXPECT_EQ(Run({"init", Path("")}), 2);
  EXPECT_NE(err_.find("no text: name it with --source FILE"), std::string::npos) << err_;
  Write("b.jsonl", "{\"text\": \"b\"}\n");
  Write("a.jsonl", "{\"text\": \"a\"}\n");
  EXPECT_EQ(Run({"init", root_}), 0) << err_;
  const std::string text = *env_.ReadFile(Path("job.toml"));
  EXPECT_NE(text.find("sources = [\"a.jsonl\", \"b.jsonl\"]"), std::string::npos) << text;
  EXPECT_NE(text.find("format = \"jsonl\""), std::string::npos) << text;
  EXPECT_EQ(text.find("documents = "), std::string::npos) << text;
  Write("c.txt", "c");
  EXPECT_TRUE(env_.RemoveFile(Path("job.toml")).ok());
  EXPECT_EQ(Run({"init", root_}), 2);
  EXPECT_NE(err_.find("either text or .jsonl files"), std::string::npos) << err_;
  EXPECT_EQ(Run({"init", root_, "--source", Path("missing.txt")}), 2);
  EXPECT_FALSE(env_.Exists(Path("job.toml")));
}

}  // namespace
}  // namespace halcyon::coordinator
