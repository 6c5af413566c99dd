#!/usr/bin/env python3
"""Learns small SentencePiece models and writes what that library encodes and decodes. In a private environment:
    pip install sentencepiece==0.2.3 protobuf && python make_sentencepiece.py
"""

import io
import os
import tempfile

import sentencepiece

from expectations import write
from texts import corpus

assert sentencepiece.__version__ == "0.2.3"
HERE = os.path.dirname(os.path.abspath(__file__))

# Rules of our own: the published ones take a quarter of a megabyte, so one model has them.
RULES = {"A": "a", "B": "b", "E": "e", "ﬁ": "fi", "½": "1/2", "\u00A0": " ", "\u3000": " ", "\t": " ", "\u200B": "",
         "e\u0301": "é", "ß": "ss", "ＡＢ": "ab", "...": "…", "\u180E": "  ", "ｶﾞ": "ガ", "ｶ": "カ"}
RULES_FILE = os.path.join(tempfile.mkdtemp(), "rules.tsv")
with open(RULES_FILE, "w") as file:
    for source, target in RULES.items():
        file.write(" ".join("%04X" % ord(c) for c in source) + "\t"
                   + " ".join("%04X" % ord(c) for c in target) + "\n")
OWN = dict(normalization_rule_tsv=RULES_FILE)

CASES = {
    "bpe": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True,
                character_coverage=0.98),
    "bpe_rules": dict(model_type="bpe", character_coverage=0.98, **OWN,
                      user_defined_symbols=["<tool>", "word", "  "]),
    "bpe_unused": dict(model_type="bpe", normalization_rule_name="identity", character_coverage=0.98),
    "unigram": dict(model_type="unigram", character_coverage=0.98, pad_id=3),
    "unigram_bytes": dict(model_type="unigram", byte_fallback=True, **OWN,
                          user_defined_symbols=["<tool>", "keep", "▁word"], character_coverage=0.98),
    "unigram_suffix": dict(model_type="unigram", treat_whitespace_as_suffix=True,
                           character_coverage=0.98, **OWN),
    "unigram_bare": dict(model_type="unigram", add_dummy_prefix=False, remove_extra_whitespaces=False,
                         normalization_rule_name="identity", character_coverage=0.98),
}


def mark_unused(model):
    """Every fifth of the normal pieces is marked as unused, in the file's own encoding: the type of a piece is a
    last field, which takes the place of an earlier one."""
    from sentencepiece import sentencepiece_model_pb2 as proto
    message = proto.ModelProto.FromString(model)
    for i, piece in enumerate(message.pieces):
        if piece.type == piece.NORMAL and len(piece.piece) > 1 and i % 5 == 0:
            piece.type = piece.UNUSED
    return message.SerializeToString()


os.chdir(HERE)
for name, options in CASES.items():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=model, vocab_size=options.pop("vocab_size", 1700),
        hard_vocab_limit=False, minloglevel=2, num_threads=1, **options)
    model = model.getvalue()
    if name.endswith("unused"):
        model = mark_unused(model)
    path = "sp_%s.model" % name
    with open(path, "wb") as file:
        file.write(model)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    write(path, "sentencepiece " + sentencepiece.__version__, processor.encode, processor.decode,
          processor.get_piece_size())
