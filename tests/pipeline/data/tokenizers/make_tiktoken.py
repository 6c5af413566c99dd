#!/usr/bin/env python3
"""Writes rank files and what tiktoken makes of them. In a private environment, after make_huggingface.py, from
whose vocabulary the ranks are taken:
    pip install tiktoken==0.14.0 && python make_tiktoken.py
"""

import base64
import json
import os

import tiktoken
from tiktoken_ext import openai_public

from expectations import write

assert tiktoken.__version__ == "0.14.0"
HERE = os.path.dirname(os.path.abspath(__file__))


def byte_of():
    """The byte that each character of GPT-2's alphabet stands for."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in plain]
    return {**{chr(b): b for b in plain}, **{chr(256 + i): b for i, b in enumerate(others)}}


def published_pattern(name):
    """Without the vocabulary, which would have to be fetched."""
    openai_public.load_tiktoken_bpe = lambda *args, **kwargs: {}
    return getattr(openai_public, name)()["pat_str"]


os.chdir(HERE)
alphabet = byte_of()
with open("hf_llama3.json") as file:
    vocabulary = json.load(file)["model"]["vocab"]
tokens = [bytes(alphabet[c] for c in token) for token in sorted(vocabulary, key=vocabulary.get)
          if token != "<|endoftext|>"]
# One that no two others join to: it comes of a whole piece alone.
tokens.append("zweiundvierzig".encode())
tokens.append(" fortune".encode())
with open("tiktoken.tiktoken", "wb") as file:
    for rank, token in enumerate(tokens):
        file.write(base64.b64encode(token) + b" %d\n" % rank)
ranks = {token: rank for rank, token in enumerate(tokens)}

CASES = {
    "r50k_base": published_pattern("r50k_base"),
    "cl100k_base": published_pattern("cl100k_base"),
    "o200k_base": published_pattern("o200k_base"),
    r"\p{L}+|[^\p{L}\s]{1,5}+|\s++$|\s": None,
}
for i, (pattern, expression) in enumerate(CASES.items()):
    encoding = tiktoken.Encoding("test", pat_str=expression or pattern, mergeable_ranks=ranks,
                                 special_tokens={"<|endoftext|>": len(tokens)})
    write("tiktoken.tiktoken", "tiktoken " + tiktoken.__version__, encoding.encode_ordinary,
          lambda ids: encoding.decode(ids, errors="replace"), encoding.n_vocab, pattern,
          name="tiktoken_%d.expected" % i)
