#!/usr/bin/env python3
"""Learns small vocabularies with Hugging Face's tokenizers, one for each way that files are built, and writes
them beside what that library encodes and decodes. In a private environment:
    pip install tokenizers==0.23.3 && python make_huggingface.py
"""

import json
import os
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from expectations import write
from texts import corpus, texts, write_texts

assert tokenizers.__version__ == "0.23.3"
HERE = os.path.dirname(os.path.abspath(__file__))
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
END = AddedToken("<|endoftext|>", special=True, normalized=False)


def byte_level(normalizer, pre_tokenizer, size=600, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False,
        special_tokens=["<|endoftext|>"]))
    return tokenizer


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(pattern, behavior, invert)


def spelt():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def flags():
    return [AddedToken("<tool>"), AddedToken("<strip>", lstrip=True, rstrip=True),
            AddedToken("word", single_word=True), AddedToken("keep", normalized=False, rstrip=True),
            AddedToken("  ", normalized=False), AddedToken("<|im_start|>", special=True)]


def qwen():
    tokenizer = byte_level(normalizers.NFC(), pre_tokenizers.Sequence([split(Regex(LLAMA3)), spelt()]))
    tokenizer.add_tokens(flags())
    return tokenizer


def deepseek():
    return byte_level(None, pre_tokenizers.Sequence([
        split(Regex(r"\p{N}{1,3}")), split(Regex("[一-龥\u3040-ゟ゠-ヿ]+")),
        split(Regex(r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
                    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")), spelt()]))


def llama3():
    tokenizer = byte_level(None, pre_tokenizers.Sequence([split(Regex(LLAMA3)), spelt()]), size=700)
    data = json.loads(tokenizer.to_str())
    data["model"]["ignore_merges"] = True
    data["model"]["merges"] = data["model"]["merges"][:-20]  # the last tokens come from whole pieces alone
    return Tokenizer.from_str(json.dumps(data))


def trained_bpe(tokenizer, size=900, **options):
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=size, show_progress=False, **options))
    return tokenizer


def llama2():
    """Whole texts as pieces, with bytes for what is unknown."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)]
    tokenizer = trained_bpe(tokenizer, 900, special_tokens=special, limit_alphabet=200)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = data["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(data))


def gemma():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = split("▁", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    return trained_bpe(tokenizer, special_tokens=["<unk>", "<eos>", "<pad>"], limit_alphabet=400)


def clip():
    tokenizer = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.BPEDecoder("</w>")
    return trained_bpe(tokenizer, special_tokens=["<|endoftext|>"], end_of_word_suffix="</w>", limit_alphabet=500)


def continuing():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"))
    tokenizer.normalizer = normalizers.NFKD()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.Punctuation("contiguous")])
    tokenizer.decoder = decoders.WordPiece("##", cleanup=True)
    return trained_bpe(tokenizer, special_tokens=["<unk>", "</s>"], continuing_subword_prefix="##",
                       limit_alphabet=600)


def dropping():
    """No unknown token: what is unknown is left out."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    tokenizer = trained_bpe(tokenizer, special_tokens=["</s>"], limit_alphabet=100)
    tokenizer.add_tokens([AddedToken("word", single_word=True, lstrip=True), AddedToken("Word")])
    return tokenizer


def bert(lowercase):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=lowercase)
    tokenizer.train_from_iterator(corpus(), trainers.WordPieceTrainer(
        vocab_size=1000, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        limit_alphabet=600))
    if not lowercase:
        tokenizer.add_tokens(flags()[:4])
    return tokenizer


def boundaries(pre_tokenizer, normalizer=None):
    """Every character a token, apart at the start of a piece and within: ids that show all boundaries."""
    characters = sorted({c for _, text in texts() for c in text if ord(c) < 0x250} | set("▁一二的ⅣΣς"))
    tokens = ["[UNK]", "[SEP]"] + characters + ["##" + c for c in characters]
    tokenizer = Tokenizer(models.WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]",
                                           max_input_chars_per_word=1000))
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.add_special_tokens(["[UNK]", "[SEP]"])
    return tokenizer


def unigram(pre_tokenizer, normalizer, decoder, byte_fallback=False, size=900):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    special = ["<unk>", "</s>", "<pad>"]
    tokenizer.train_from_iterator(corpus(), trainers.UnigramTrainer(
        vocab_size=size, show_progress=False, special_tokens=special, unk_token="<unk>"))
    data = json.loads(tokenizer.to_str())
    if byte_fallback:
        data["model"]["vocab"] += [["<0x%02X>" % b, -20.0] for b in range(256)]
        data["model"]["byte_fallback"] = True
    # What the trainer learns of rare characters is left out, so that there is something unknown.
    data["model"]["vocab"] = [v for v in data["model"]["vocab"] if len(v[0]) != 1 or ord(v[0]) < 0x900]
    return Tokenizer.from_str(json.dumps(data))


class WithHoles:
    """A tokenizer whose file leaves out 100 ids, from the 50 last tokens of its vocabulary on, and gives two
    tokens more ids that the library does not use."""

    def __init__(self, tokenizer):
        data = json.loads(tokenizer.to_str())
        vocab = data["model"]["vocab"]
        first = len(vocab) - 50
        data["model"]["vocab"] = {token: i if i < first else i + 100 for token, i in vocab.items()}
        data["added_tokens"] += [{
            "id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True} for i, content in ((5000, "<|extra|>"), (3, "<|other|>"))]
        self.file = json.dumps(data)
        self.tokenizer = Tokenizer.from_str(self.file)


def tokenizers_by_name():
    meta = pre_tokenizers.Metaspace
    yield "gpt2", byte_level(None, pre_tokenizers.ByteLevel(add_prefix_space=False))
    yield "roberta", byte_level(None, pre_tokenizers.ByteLevel(add_prefix_space=True))
    yield "llama3", llama3()
    yield "qwen", qwen()
    yield "gpt2_holes", WithHoles(byte_level(None, pre_tokenizers.ByteLevel(add_prefix_space=False)))
    yield "qwen_holes", WithHoles(qwen())
    yield "deepseek", deepseek()
    yield "llama2", llama2()
    yield "gemma", gemma()
    yield "clip", clip()
    yield "continuing", continuing()
    yield "dropping", dropping()
    yield "bert_uncased", bert(True)
    yield "bert_cased", bert(False)
    yield "unigram", unigram(meta(), normalizers.NFKC(), decoders.Metaspace())
    yield "unigram_bytes", unigram(
        pre_tokenizers.Sequence([meta(prepend_scheme="first", split=True), pre_tokenizers.Digits(False)]),
        normalizers.NFD(), decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]), byte_fallback=True)
    yield "unigram_stripped", unigram(
        meta(prepend_scheme="never"),
        normalizers.Sequence([normalizers.Strip(), normalizers.NFD(), normalizers.StripAccents(),
                              normalizers.Lowercase()]), decoders.Metaspace(prepend_scheme="never"))
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        yield "split_" + behavior, boundaries(split(Regex(r"\p{Lu}|\d+|\s|x*"), behavior))
        yield "punctuation_" + behavior, boundaries(pre_tokenizers.Punctuation(behavior))
    yield "split_inverted", boundaries(pre_tokenizers.Sequence([
        split(Regex(r"\p{L}+|\p{N}"), "merged_with_next", True), split("e", "merged_with_previous")]),
        normalizers.Strip(left=True, right=False))
    yield "split_words", boundaries(pre_tokenizers.Sequence([
        pre_tokenizers.Whitespace(), pre_tokenizers.Digits(False)]))
    yield "split_first", boundaries(pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), meta(prepend_scheme="first")]))




os.chdir(HERE)
write_texts("texts.json")
only = sys.argv[1:]  # names; all without
for name, tokenizer in tokenizers_by_name():
    if only and name not in only:
        continue
    text = tokenizer.file if isinstance(tokenizer, WithHoles) else tokenizer.to_str()
    tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    tokenizer.encode_special_tokens = True  # what looks like a special token is text
    path = "hf_%s.json" % name
    with open(path, "w") as file:
        file.write(text)
    write(path, "tokenizers " + tokenizers.__version__,
          lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
          lambda ids: tokenizer.decode(ids, skip_special_tokens=False), max(tokenizer.get_vocab().values()) + 1,
          specials=[tokenizer.token_to_id(name) for name in ("</s>", "<pad>", "[SEP]", "[PAD]", "[CLS]")
                    if tokenizer.token_to_id(name) is not None])
