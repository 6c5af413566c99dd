#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "pipeline/tokenizer/byte_alphabet.h"
#include "pipeline/tokenizer/special_names.h"
#include "tests/pipeline/source_fixture.h"
#include "tests/pipeline/tokenizer/naive_bpe.h"

namespace halcyon::pipeline {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// A file as other software writes it: the bytes, three merges, and "</s>" as id 0.
json ForeignFile() {
  json vocab = {{"</s>", 0}};
  for (int byte = 0; byte < 256; ++byte) {
    vocab[SpellBytes(std::string(1, static_cast<char>(byte)))] = byte + 1;
  }
  vocab["\u0120t"] = 257;
  vocab["he"] = 258;
  vocab["\u0120the"] = 259;
  return {{"added_tokens", {{{"id", 0}, {"content", "</s>"}, {"special", true}}}},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"post_processor", {{"type", "TemplateProcessing"}}},
          {"model",
           {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"\u0120 t", "h e", "\u0120t he"}}}}};
}

json SplitThenByteLevel(const char* regex) {
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"},
             {"pattern", {{"Regex", regex}}},
             {"behavior", "Isolated"},
             {"invert", false}},
            {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
}

class TokenizerFileTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::shared_ptr<const Tokenizer>> Load(const std::string& text,
                                                        const std::string& pattern = "") {
    const std::string path = dir_.Path("tokenizer.json");
    PutFile(path, text);
    return Tokenizer::Load(path, pattern);
  }
  std::string Error(const json& file) {
    const auto tokenizer = Load(file.dump());
    EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(MessageOf(tokenizer.status()), HasSubstr("tokenizer.json: "));
    return MessageOf(tokenizer.status());
  }

  testing::TempDir dir_;
};

TEST_F(TokenizerFileTest, WhatIsTrainedComesBack) {
  for (const char* pattern : {"gpt2", "llama3", "cl100k", "o200k"}) {
    const auto trained = TrainOn({RandomProse(1, 500)}, 320, pattern);
    const auto loaded = Load(trained->ToJson());
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ((*loaded)->ToJson(), trained->ToJson());
    EXPECT_EQ((*loaded)->vocab_size(), trained->vocab_size());
    EXPECT_EQ((*loaded)->end_of_text(), trained->end_of_text());
    EXPECT_EQ((*loaded)->padding(), trained->padding());
    const std::string text = RandomProse(2, 300);
    EXPECT_EQ(Encode(*loaded, text), Encode(trained, text));
  }
}

TEST_F(TokenizerFileTest, TheFormIsThatOfHuggingFace) {
  const auto tokenizer = TrainOn({" the the"}, 258 + 3);
  const json file = json::parse(tokenizer->ToJson());
  EXPECT_EQ(file["model"]["type"], "BPE");
  EXPECT_EQ(file["model"]["vocab"]["\u0120"], 32);
  EXPECT_EQ(file["model"]["vocab"]["a"], 97);
  EXPECT_EQ(file["model"]["merges"].size(), 3u);
  EXPECT_EQ(file["model"]["merges"][0], "h e");  // the space comes last on a tie
  EXPECT_EQ(file["model"]["vocab"]["\u0120the"], 258);
  EXPECT_EQ(file["added_tokens"].size(), 2u);
  EXPECT_EQ(file["added_tokens"][1]["content"], "<|padding|>");
  EXPECT_EQ(file["added_tokens"][1]["id"], 260);
  EXPECT_EQ(file["added_tokens"][1]["special"], true);
  const json& steps = file["pre_tokenizer"]["pretokenizers"];
  EXPECT_EQ(steps[0]["pattern"]["Regex"], *PatternByName("gpt2"));
  EXPECT_EQ(steps[0]["behavior"], "Isolated");
  EXPECT_EQ(steps[1]["type"], "ByteLevel");
  EXPECT_EQ(steps[1]["use_regex"], false);
  EXPECT_EQ(steps[1]["add_prefix_space"], false);
  EXPECT_EQ(file["decoder"]["type"], "ByteLevel");
}

TEST_F(TokenizerFileTest, ReadsForeignFiles) {
  const auto tokenizer = Load(ForeignFile().dump());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->vocab_size(), 260u);
  EXPECT_EQ(Encode(*tokenizer, "a the</s>"),
            (std::vector<uint32_t>{98, 259, '<' + 1, '/' + 1, 's' + 1, '>' + 1}));
  EXPECT_EQ((*tokenizer)->end_of_text(), 0u);
  EXPECT_EQ((*tokenizer)->padding(), 0u);  // there is none of its own
  EXPECT_EQ((*tokenizer)->Bytes(0), "</s>");
}

TEST_F(TokenizerFileTest, ReadsMergesAsPairs) {
  json file = ForeignFile();
  file["model"]["merges"] = json::array(
      {json::array({"\u0120", "t"}), json::array({"h", "e"}), json::array({"\u0120t", "he"})});
  EXPECT_EQ((*Load(file.dump()))->ToJson(), (*Load(ForeignFile().dump()))->ToJson());
}

TEST_F(TokenizerFileTest, FindsTheSpecialTokensOfOtherFamilies) {
  json file = ForeignFile();
  file["added_tokens"] = {{{"id", 260}, {"content", "<eos>"}, {"special", true}},
                          {{"id", 261}, {"content", "[PAD]"}, {"special", true}},
                          {{"id", 0}, {"content", "</s>"}, {"special", true}}};
  const auto tokenizer = Load(file.dump());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->end_of_text(), 0u);  // "</s>" is looked for before "<eos>"
  EXPECT_EQ((*tokenizer)->padding(), 261u);
}

TEST_F(TokenizerFileTest, IgnoreMergesIsRead) {
  json file = ForeignFile();
  file["model"]["merges"].erase(2);
  EXPECT_EQ(Encode(*Load(file.dump()), " the"), (std::vector<uint32_t>{257, 258}));
  file["model"]["ignore_merges"] = true;
  const auto tokenizer = Load(file.dump());
  EXPECT_EQ(Encode(*tokenizer, " the"), std::vector<uint32_t>{259});
  EXPECT_EQ(Encode(*Load((*tokenizer)->ToJson()), " the"), std::vector<uint32_t>{259});
}

TEST_F(TokenizerFileTest, ThePatternIsTheFilesOrTheOneAskedFor) {
  json file = ForeignFile();
  file["pre_tokenizer"] = SplitThenByteLevel("the| t");
  EXPECT_EQ(Encode(*Load(file.dump()), " the"), (std::vector<uint32_t>{257, 258}));
  EXPECT_EQ(Encode(*Load(file.dump(), "llama3"), " the"), std::vector<uint32_t>{259});
  // The choice is part of the tokenizer from then on.
  const std::string json_text = (*Load(file.dump(), "llama3"))->ToJson();
  EXPECT_EQ(Encode(*Load(json_text), " the"), std::vector<uint32_t>{259});
  EXPECT_THAT(MessageOf(Load(file.dump(), "gpt5").status()), HasSubstr("\"gpt5\""));
}

TEST_F(TokenizerFileTest, RefusesWhatItDoesNotSupportByItsPath) {
  const std::tuple<const char*, json, const char*> cases[] = {
      {"/model/type", "WordLevel", "model.type: \"WordLevel\" is not supported"},
      {"/model/dropout", 0.1, "model.dropout: is not supported"},
      {"/normalizer", {{"type", "Nmt"}}, "normalizer.type: \"Nmt\" is not supported"},
      {"/normalizer",
       {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Precompiled"}}}}},
       "normalizer.normalizers[1].type: \"Precompiled\" is not supported"},
      {"/pre_tokenizer", {{"type", "UnicodeScripts"}}, "pre_tokenizer.type: \"UnicodeScripts\""},
      {"/decoder", {{"type", "CTC"}}, "decoder.type: \"CTC\" is not supported"},
      {"/pre_tokenizer/add_prefix_space", "yes", "add_prefix_space: not true or false"},
      {"/added_tokens/0/id", "x", "added_tokens[0].id: not a whole number"},
      {"/model/unk_token", "<unk>", "model.unk_token: \"<unk>\" is not in the vocabulary"}};
  for (const auto& [where, value, message] : cases) {
    json file = ForeignFile();
    file[json::json_pointer(where)] = value;
    EXPECT_THAT(Error(file), HasSubstr(message));
  }
}

TEST_F(TokenizerFileTest, RefusesSplitsThatItDoesNotSupport) {
  const std::tuple<const char*, json, const char*> cases[] = {
      {"/pretokenizers/0/behavior", "Sideways", "pretokenizers[0].behavior: \"Sideways\""},
      {"/pretokenizers/0/pattern", {{"Glob", " "}}, "pretokenizers[0].pattern.Regex: missing"},
      {"/pretokenizers/0/pattern", {{"String", ""}}, "pretokenizers[0].pattern.String: empty"},
      {"/pretokenizers/0/pattern/Regex", "(", "pre-tokenizer pattern ("},
      {"/pretokenizers/0/type", "FixedLength", "pretokenizers[0].type: \"FixedLength\""},
      {"/pretokenizers/0/invert", nullptr, "pretokenizers[0].invert: missing"}};
  for (const auto& [where, value, message] : cases) {
    json file = ForeignFile();
    file["pre_tokenizer"] = SplitThenByteLevel("\\S+");
    file["pre_tokenizer"][json::json_pointer(where)] = value;
    EXPECT_THAT(Error(file), HasSubstr(message));
  }
}

// The reference asks whether what is left begins at the start of the original text.
TEST_F(TokenizerFileTest, RefusesToGuessWhetherATextBeginsAtItsStart) {
  json file = ForeignFile();
  file["normalizer"] = {{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}};
  file["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "first"}};
  EXPECT_THAT(Error(file), HasSubstr("pre_tokenizer: prepend_scheme \"first\" after a normalizer"));
  file["normalizer"]["strip_left"] = false;
  EXPECT_TRUE(Load(file.dump()).ok());
}

TEST_F(TokenizerFileTest, APatternIsForOneExpressionOnly) {
  json file = ForeignFile();
  file["normalizer"] = {{"type", "NFC"}};
  EXPECT_THAT(MessageOf(Load(file.dump(), "llama3").status()),
              HasSubstr("leave out the pattern \"llama3\""));
}

TEST_F(TokenizerFileTest, RefusesFilesThatContradictThemselves) {
  const std::tuple<const char*, json, const char*> cases[] = {
      {"/model/vocab/he", 257, "two tokens have the id 257"},
      {"/model/vocab/he", 1 << 24, "the id 16777216"},
      {"/model/vocab/he", -1, "the id -1"},
      {"/model/vocab/he", "x", "the id \"x\""},
      {"/model/vocab", 7, "model.vocab: missing"},
      {"/model/merges/1", "h x", "model: merges[1]"},
      {"/model/merges/1", "he", "model.merges[1]"},
      {"/model/merges/1", 3, "model.merges[1]"},
      {"/added_tokens/0/content", "", "added_tokens[0].content: empty"},
      {"/added_tokens", json::array(),
       "no special token ends a text; add one of <|endoftext|> </s>"}};
  for (const auto& [where, value, message] : cases) {
    json file = ForeignFile();
    file[json::json_pointer(where)] = value;
    if (std::string(message).starts_with("no special")) {
      file["model"]["vocab"].erase("</s>");
      for (auto& [spelling, id] : file["model"]["vocab"].items()) id = id.get<int>() - 1;
    }
    EXPECT_THAT(Error(file), HasSubstr(message));
  }
}

// What tokenizers 0.23.3 makes of such files is in data/tokenizers/hf_*_holes.expected.
TEST_F(TokenizerFileTest, IdsThatNoTokenHasAreNothing) {
  json file = ForeignFile();
  file["model"]["vocab"]["he"] = 300;
  file["decoder"] = {{"type", "ByteLevel"}};
  const json staged = [&] {
    json other = file;
    other["normalizer"] = {{"type", "NFC"}};
    return other;
  }();
  for (const json& one : {file, staged}) {
    const auto tokenizer = Load(one.dump());
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    EXPECT_EQ((*tokenizer)->vocab_size(), 301u);
    EXPECT_TRUE((*tokenizer)->Has(259));
    EXPECT_FALSE((*tokenizer)->Has(258));
    EXPECT_FALSE((*tokenizer)->Has(299));
    EXPECT_TRUE((*tokenizer)->Has(300));
    EXPECT_FALSE((*tokenizer)->Has(301));
    EXPECT_EQ((*tokenizer)->Bytes(258), "");
    EXPECT_EQ(Encode(*tokenizer, " the he"), (std::vector<uint32_t>{259, 33, 300}));
    EXPECT_EQ(*(*tokenizer)->Decode(std::vector<uint32_t>{259, 258, 299, 300}), " thehe");
    EXPECT_FALSE((*tokenizer)->Decode(std::vector<uint32_t>{301}).ok());
    const auto again = Load((*tokenizer)->ToJson());
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ((*again)->ToJson(), (*tokenizer)->ToJson());
    EXPECT_EQ(Encode(*again, " the he"), Encode(*tokenizer, " the he"));
  }
}

// As the reference does; it only logs that the file says otherwise.
TEST_F(TokenizerFileTest, AddedTokensFollowTheVocabularyWhateverTheirIds) {
  json file = ForeignFile();
  const auto add = [&](int id, const char* content) {
    file["added_tokens"].push_back({{"id", id}, {"content", content}, {"special", true}});
  };
  add(7, "<eos>");
  add(500, "[PAD]");
  const auto tokenizer = Load(file.dump());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->vocab_size(), 262u);
  EXPECT_EQ((*tokenizer)->Bytes(260), "<eos>");
  EXPECT_EQ((*tokenizer)->Bytes(261), "[PAD]");
  // 260 tokens with one hole: the first that is added has the id 260.
  file["model"]["vocab"]["he"] = 260;
  EXPECT_THAT(Error(file), HasSubstr("added_tokens[1]: \"<eos>\" would be token 260, as tokenizers "
                                     "numbers it, which \"he\" is already"));
  file["model"]["vocab"]["he"] = 262;
  EXPECT_EQ((*Load(file.dump()))->Bytes(261), "[PAD]");
}

// As tokenizers 0.23.3: what the vocabulary lacks becomes bytes, also where these are special.
TEST(TokenizerFile, TokensOfBytesStandForBytesAlsoWhereTheyAreSpecial) {
  for (const char* model : {R"("type":"BPE","unk_token":"<unk>","merges":[],"vocab":{"<unk>":0,
                               "</s>":1,"<0xC3>":2,"<0xA9>":3,"a":4})",
                            R"("type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["</s>",0],
                               ["<0xC3>",0],["<0xA9>",0],["a",-1]])"}) {
    std::string added;
    for (const char* token : {R"(0,"content":"<unk>")", R"(1,"content":"</s>")",
                              R"(2,"content":"<0xC3>")", R"(3,"content":"<0xA9>")"}) {
      added += std::string(added.empty() ? "" : ",") + R"({"id":)" + token + R"(,"special":true})";
    }
    const auto tokenizer = Tokenizer::FromBytes(
        R"({"added_tokens":[)" + added + R"(],"decoder":{"type":"ByteFallback"},"model":{)" +
            model + R"(,"byte_fallback":true}})",
        "t.json");
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    EXPECT_EQ(Encode(*tokenizer, "a\u00e9"), (std::vector<uint32_t>{4, 2, 3})) << model;
    EXPECT_EQ(*(*tokenizer)->Decode(std::vector<uint32_t>{4, 2, 3}, /*keep_special=*/true),
              "a\u00e9");
  }
}

TEST_F(TokenizerFileTest, RefusesWhatIsNoTokenizer) {
  EXPECT_THAT(Error(json::array()), HasSubstr("model: missing"));
  EXPECT_THAT(Error(json("text")), HasSubstr("model: missing"));
  EXPECT_THAT(MessageOf(Load("{\"model\": ").status()), HasSubstr("at byte 10 of 10;"));
  EXPECT_TRUE(absl::IsNotFound(Tokenizer::Load(dir_.Path("missing.json")).status()));
}

TEST(ChooseSpecialTokens, TheEndOfATurnEndsATextWhereNothingElseDoes) {
  const std::vector<std::string> tokens = {"a", "<|im_start|>", "<|im_end|>", "</s>"};
  EXPECT_EQ(ChooseSpecialTokens(tokens, {false, true, true, false})->end_of_text, 2u);
  EXPECT_EQ(ChooseSpecialTokens(tokens, {false, true, true, true})->end_of_text, 3u);
  EXPECT_TRUE(
      absl::IsInvalidArgument(ChooseSpecialTokens(tokens, {false, true, false, false}).status()));
}

}  // namespace
}  // namespace halcyon::pipeline
