#!/usr/bin/env python3
"""A byte-level BPE vocabulary learnt from a JSON Lines file: Halcyon, tokenizers and gigatoken side by side.

    trainers.py FILE.jsonl [--vocab-size N] [--threads N] [--rounds N] [--without gigatoken]... [--halcyon build/bin/halcyon]

Learners take turns, each in a process of its own. Of each the least time of its rounds counts, on the clock and of the
processor, reading the file included, and its largest memory. Ends with an error where Halcyon's merges are not those
of tokenizers; gigatoken's are compared as well.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time


def texts(path):
    with open(path) as file:
        for line in file:
            yield json.loads(line)["text"]


def spell(token):
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in plain]
    spelling = {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}
    return "".join(spelling[b] for b in token)


def run_tokenizers(path, vocab_size, out):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(texts(path), trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, show_progress=False, special_tokens=[],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.save(out)


def run_gigatoken(path, vocab_size, out):
    import gigatoken
    _, merges = gigatoken.train_bpe(gigatoken.JsonlFileSource([path], field="text"), vocab_size, [])
    with open(out, "w") as file:
        json.dump({"model": {"merges": [[spell(a), spell(b)] for a, b in merges]}}, file)


PEERS = {"tokenizers": run_tokenizers, "gigatoken": run_gigatoken}


def run(name, options, out):
    """Seconds on the clock and of the processor, and MiB at most."""
    if name == "halcyon":  # two of its tokens are special
        command = [options.halcyon, "tokenizer", "train", "--input", options.file, "--format", "jsonl", "--vocab-size",
                   str(options.vocab_size + 2), "--threads", str(options.threads), "--output", out]
    else:
        command = [sys.executable, __file__, "--peer", name, options.file, str(options.vocab_size), out]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(options.threads)}
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit("%s failed" % name)
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def merges_of(path):
    with open(path) as file:
        merges = json.load(file)["model"]["merges"]
    return [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in merges]


def main():
    if sys.argv[1:2] == ["--peer"]:
        name, path, vocab_size, out = sys.argv[2:]
        return PEERS[name](path, int(vocab_size), out)
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--vocab-size", type=int, default=16384)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--halcyon", default="build/bin/halcyon")
    options = parser.parse_args()
    names = [name for name in ("halcyon", *PEERS) if name not in options.without]
    measured, merges = {name: [] for name in names}, {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for name in names:
                out = os.path.join(folder, name + ".json")
                measured[name].append(run(name, options, out))
                merges[name] = merges_of(out)
    for name in names:
        wall, processor, memory = zip(*measured[name])
        print("%-10s %8.2f s, processor %8.2f s, %6.0f MiB, %d merges, %s" % (
            name, min(wall), min(processor), max(memory), len(merges[name]),
            "equal" if merges[name] == merges["halcyon"] else "differ"), flush=True)
    return 0 if merges.get("tokenizers", merges["halcyon"]) == merges["halcyon"] else 1


sys.exit(main())
