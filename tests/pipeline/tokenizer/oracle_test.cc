// Tokenizer files of every supported kind against what the reference libraries make of the same
// texts: data/tokenizers/*.expected, which the scripts there wrote.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/env.h"
#include "pipeline/tokenizer.h"
#include "pipeline/utf8.h"

namespace halcyon::pipeline {
namespace {

using nlohmann::json;

const std::string kFolder = std::string(HALCYON_SOURCE_DIR) + "/tests/pipeline/data/tokenizers/";

json ReadJson(const std::string& name) {
  const auto text = Env::Posix()->ReadFile(kFolder + name);
  return text.ok() ? json::parse(*text) : json();
}

const json& Texts() {
  static const auto* const texts = new json(ReadJson("texts.json"));
  return *texts;
}

// As in expectations.py: short results whole, long ones as their number and a hash.
template <typename Numbers>
json SummaryOf(const Numbers& numbers, const json& expected) {
  if (expected.is_array()) return std::vector<uint32_t>(numbers.begin(), numbers.end());
  uint64_t hash = 0xCBF29CE484222325;
  for (const uint32_t number : numbers) hash = (hash ^ number) * 0x100000001B3;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016lX", hash);
  return {{"count", numbers.size()}, {"fnv", digits}};
}

bool Holds(const json& list, uint32_t id) {
  return std::find(list.begin(), list.end(), id) != list.end();
}

std::vector<uint8_t> AsUtf8(const absl::StatusOr<std::string>& decoded) {
  if (!decoded.ok()) return {};
  const std::string text = ReplaceInvalidUtf8(*decoded);
  return {text.begin(), text.end()};
}

class OracleTest : public ::testing::TestWithParam<std::string> {};

TEST_P(OracleTest, EqualsTheReference) {
  const json expected = ReadJson(GetParam());
  ASSERT_TRUE(expected.is_object());
  const auto tokenizer =
      Tokenizer::Load(kFolder + expected["file"].get<std::string>(), expected["pattern"]);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->vocab_size(), expected["vocab_size"]);
  const auto encoder = Encoder::Create(*tokenizer);
  const json& entries = expected["entries"];
  ASSERT_EQ(entries.size(), Texts().size());
  for (size_t i = 0; i < entries.size(); ++i) {
    std::string text;
    for (int repeat = 0; repeat < Texts()[i]["count"]; ++repeat) {
      text += Texts()[i]["unit"].get<std::string>();
    }
    SCOPED_TRACE(entries[i]["text"]);
    std::vector<uint32_t> ids;
    encoder->Encode(text, &ids);
    if (entries[i].contains("never")) {
      for (const uint32_t id : ids) EXPECT_FALSE(Holds(entries[i]["never"], id)) << id;
      continue;
    }
    EXPECT_EQ(SummaryOf(ids, entries[i]["ids"]), entries[i]["ids"]);
    const auto decoded = (*tokenizer)->Decode(ids, /*keep_special=*/true);
    if (entries[i]["decoded"] == true) {
      EXPECT_EQ(*decoded, text);
    } else {
      EXPECT_EQ(SummaryOf(AsUtf8(decoded), entries[i]["decoded"]), entries[i]["decoded"]);
    }
  }
  std::vector<uint8_t> singles;
  for (uint32_t id = 0; id < (*tokenizer)->vocab_size(); ++id) {
    if (id > 0) singles.push_back(0);
    for (const uint8_t byte : AsUtf8((*tokenizer)->Decode(std::vector<uint32_t>{id}, true))) {
      singles.push_back(byte);
    }
  }
  EXPECT_EQ(SummaryOf(singles, expected["singles"]), expected["singles"]);
}

// What is stored as an artifact is read as the same tokenizer.
TEST_P(OracleTest, IsTheSameAfterWritingAndReading) {
  const json expected = ReadJson(GetParam());
  const auto tokenizer =
      Tokenizer::Load(kFolder + expected["file"].get<std::string>(), expected["pattern"]);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto again = Tokenizer::FromBytes((*tokenizer)->ToJson(), "again");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->ToJson(), (*tokenizer)->ToJson());
  EXPECT_EQ((*again)->end_of_text(), (*tokenizer)->end_of_text());
  for (const json& text : Texts()) {
    if (text["count"] != 1) continue;
    std::vector<uint32_t> ids, ids_again;
    Encoder::Create(*tokenizer)->Encode(text["unit"].get<std::string>(), &ids);
    Encoder::Create(*again)->Encode(text["unit"].get<std::string>(), &ids_again);
    EXPECT_EQ(ids, ids_again) << text["name"];
  }
}

std::vector<std::string> Expectations() {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".expected") names.insert(entry.path().filename());
  }
  return {names.begin(), names.end()};
}

INSTANTIATE_TEST_SUITE_P(Files, OracleTest, ::testing::ValuesIn(Expectations()),
                         [](const auto& info) {
                           return std::filesystem::path(info.param).stem().string();
                         });

}  // namespace
}  // namespace halcyon::pipeline
