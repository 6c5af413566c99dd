// Training on ids that other programs made, with the programs themselves.
#include <gtest/gtest.h>

#include "base/env.h"
#include "pipeline/sources/document_reader.h"
#include "pipeline/tokenizer.h"
#include "tests/end_to_end/small_job.h"
#include "tests/pipeline/token_file_bytes.h"

namespace halcyon {
namespace {

using nlohmann::json;

// The job's corpus as documents of ids of a tokenizer that was learned from it.
class Corpus {
 public:
  explicit Corpus(SmallJob& job) : tokenizer_path_(job.root() + "/t.json") {
    const RunResult learned =
        job.Halcyon({"tokenizer", "train", "--input", job.root() + "/corpus.txt", "--documents",
                     "entries", "--vocab-size", "300", "--output", tokenizer_path_});
    EXPECT_TRUE(learned.status.ok()) << learned.output;
    const auto tokenizer = pipeline::Tokenizer::Load(tokenizer_path_);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    end_ = (*tokenizer)->end_of_text();
    jobs::DataSpec text;
    text.sources = {job.root() + "/corpus.txt"};
    text.documents = jobs::DocumentRule::kEntries;
    const auto encoder = pipeline::Encoder::Create(*tokenizer);
    const auto plan = pipeline::PlanShards(text);
    for (const pipeline::SourceRange& range : pipeline::RangesOf(*plan)) {
      EXPECT_TRUE(pipeline::ReadDocuments(text, range, [&](std::string_view document) {
                    std::vector<uint32_t> ids;
                    encoder->Encode(document, &ids);
                    documents_.emplace_back(ids.begin(), ids.end());
                    tokens_ += ids.size();
                    return absl::OkStatus();
                  }).ok());
    }
  }

  const std::string& tokenizer_path() const { return tokenizer_path_; }
  uint32_t end() const { return end_; }
  size_t documents() const { return documents_.size(); }
  uint64_t tokens() const { return tokens_; }
  // All documents, each with `after` behind it.
  std::vector<int64_t> Ids(const std::vector<int64_t>& after) const {
    std::vector<int64_t> ids;
    for (const auto& document : documents_) {
      ids.insert(ids.end(), document.begin(), document.end());
      ids.insert(ids.end(), after.begin(), after.end());
    }
    return ids;
  }
  std::vector<std::vector<int64_t>> Lengths() const {
    std::vector<std::vector<int64_t>> lengths;
    for (const auto& document : documents_) {
      lengths.push_back({static_cast<int64_t>(document.size())});
    }
    return lengths;
  }

 private:
  std::string tokenizer_path_;
  uint32_t end_ = 0;
  uint64_t tokens_ = 0;
  std::vector<std::vector<int64_t>> documents_;
};

void Put(const std::string& path, const std::string& bytes) {
  ASSERT_TRUE(Env::Posix()->CreateDirs(DirName(path)).ok());
  ASSERT_TRUE(WriteFileAtomically(*Env::Posix(), path, bytes).ok());
}

// A job of one shard, so that it is the same one of text and of ids.
void ReadIds(SmallJob& job, const Corpus& corpus) {
  job.values()["tokenizer.path"] = "\"" + corpus.tokenizer_path() + "\"";
  job.values().erase("tokenizer.vocab_size");
  job.values()["data.shard_bytes"] = "1000000";
  job.values().erase("data.documents");
  job.values()["data.sources"] = "[\"train.bin\"]";
  job.values()["data.format"] = "\"tokens\"";
  job.values()["data.token_type"] = "\"uint16\"";
  job.values()["data.end_of_document"] = std::to_string(corpus.end());
  job.Write();
}

TEST(IdsTest, AJobOfIdsIsTheJobOfTheirText) {
  SmallJob job("ids");
  const Corpus corpus(job);
  Put(job.root() + "/train.bin", pipeline::Integers(corpus.Ids({corpus.end()}), 2));
  ReadIds(job, corpus);
  const RunResult run = job.Run();
  ASSERT_TRUE(run.status.ok()) << run.status.ToString() << "\n" << run.output;
  EXPECT_NE(run.output.find("BrierLM "), std::string::npos) << run.output;
  const json of_ids =
      json::parse(*Env::Posix()->ReadFile(job.ArtifactOf("tokens") + "/artifact.json"));
  EXPECT_GT(of_ids["facts"]["heldout.documents"], 0);
  EXPECT_EQ(of_ids["facts"]["heldout.tokens"].get<uint64_t>() +
                of_ids["facts"]["train.tokens"].get<uint64_t>(),
            corpus.tokens());

  // From the text the same tokens are made, to the byte, so that all else is there already.
  job.values()["data.sources"] = "[\"corpus.txt\"]";
  job.values()["data.documents"] = "\"entries\"";
  for (const char* key : {"data.format", "data.token_type", "data.end_of_document"}) {
    job.values().erase(key);
  }
  job.Write();
  const RunResult again = job.Run();
  ASSERT_TRUE(again.status.ok()) << again.output;
  std::map<std::string, std::string> states;
  const json status = job.Status();
  for (const json& stage : status.at("stages")) states[stage["stage"]] = stage["state"];
  EXPECT_EQ(states.at("tokens"), "done");
  for (const char* stage : {"autoencoder", "latents", "model", "eval"}) {
    EXPECT_EQ(states.at(stage), "reused") << stage;
  }
}

TEST(IdsTest, AnIdOutsideTheVocabularyStopsTheJobByName) {
  SmallJob job("unknown-id");
  const Corpus corpus(job);
  std::vector<int64_t> ids = corpus.Ids({corpus.end()});
  ids[1000] = 301;
  Put(job.root() + "/train.bin", pipeline::Integers(ids, 2));
  ReadIds(job, corpus);
  const RunResult run = job.Run();
  EXPECT_FALSE(run.status.ok());
  EXPECT_NE(run.output.find("train.bin: token 1000 (byte 2000) is id 301, which no token of the"),
            std::string::npos)
      << run.output;
  const auto made = Env::Posix()->ListDir(job.home() + "/artifacts/tokens");
  EXPECT_TRUE(!made.ok() || made->empty());
  job.values().erase("data.token_type");
  job.Write();
  const RunResult without = job.Halcyon({"validate", job.job_file()});
  EXPECT_NE(without.output.find("train.bin: no header says how its ids are stored"),
            std::string::npos)
      << without.output;
}

TEST(IdsTest, ImportTokensSaysWhatIsInAFileAndWritesAJob) {
  SmallJob job("import-tokens");
  const Corpus corpus(job);
  Put(job.root() + "/data/a.bin", pipeline::Integers(corpus.Ids({}), 2));
  Put(job.root() + "/data/a.idx", pipeline::MegatronIndexOf(8, 2, corpus.Lengths()));
  Put(job.root() + "/data/b.npy", pipeline::NpyOf("<i8", corpus.Ids({corpus.end()})));
  const std::string written = job.root() + "/imported.toml";
  const std::vector<std::string> command = {
      "cache",       "import-tokens",         job.root() + "/data",
      "--tokenizer", corpus.tokenizer_path(), "--json"};
  std::vector<std::string> writing = command;
  writing.insert(writing.end(), {"--output", written});
  const RunResult said = job.Halcyon(writing);
  ASSERT_TRUE(said.status.ok()) << said.output;
  const json figures = json::parse(said.output);
  EXPECT_EQ(figures["end_of_document"], corpus.end());
  ASSERT_EQ(figures["files"].size(), 2u) << figures;
  for (const json& file : figures["files"]) {
    EXPECT_EQ(file["documents"], corpus.documents());
    EXPECT_EQ(file["tokens"], corpus.tokens());
    EXPECT_EQ(file["documents_encoded_again"], 20);
    EXPECT_EQ(file["same_ids"], 20);
    EXPECT_EQ(file["beginning"].get<std::string>().rfind("word0, n. [Obs.]", 0), 0u) << file;
    EXPECT_TRUE(file["warnings"].empty());
  }
  writing.back() = job.root() + "/data/job.toml";
  EXPECT_NE(job.Halcyon(writing).output.find("job.toml would be one of the sources, which are all"),
            std::string::npos);
  writing.back() = written;
  const RunResult valid = job.Halcyon({"validate", written});
  EXPECT_TRUE(valid.status.ok()) << valid.output;
  EXPECT_FALSE(job.Halcyon(writing).status.ok()) << "there is a job file already";

  // Ids of another vocabulary that are all within this one.
  Put(job.root() + "/data/b.npy",
      pipeline::NpyOf("<i8", std::vector<int64_t>{45, 3, 200, 17, 150, 99}));
  const RunResult other = job.Halcyon(command);
  EXPECT_NE(other.output.find("b.npy: 1 of the first 1 documents are encoded to other ids; were "
                              "they made with this tokenizer?"),
            std::string::npos)
      << other.output;
}

}  // namespace
}  // namespace halcyon
