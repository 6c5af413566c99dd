#!/usr/bin/env python3
"""Writes the merges that Hugging Face's trainer learns from the texts, in their order. In a private environment:
    pip install tokenizers==0.23.3 && python make_trained.py
"""

import json
import os

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from texts import texts

BYTES_MAX = 4000  # longer texts are runs, whose merges would fill the file

assert tokenizers.__version__ == "0.23.3"
os.chdir(os.path.dirname(os.path.abspath(__file__)))
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.train_from_iterator(
    (text for _, text in texts() if len(text.encode()) <= BYTES_MAX),
    trainers.BpeTrainer(vocab_size=1256, min_frequency=2, show_progress=False, special_tokens=[],
                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
with open("hf_trained.merges", "w") as file:
    for left, right in json.loads(tokenizer.to_str())["model"]["merges"]:
        file.write(left + " " + right + "\n")
