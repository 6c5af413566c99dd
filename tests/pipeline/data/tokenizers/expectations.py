"""Writes what a reference makes of the texts, in the form that tests/pipeline/tokenizer/oracle_test.cc reads."""

import json

from texts import texts

IDS_MAX = 60  # longer results are kept as their number and a hash


def fnv(numbers):
    """64-bit FNV-1a over whole numbers."""
    value = 0xCBF29CE484222325
    for number in numbers:
        value = (value ^ number) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def summary(numbers):
    return numbers if len(numbers) <= IDS_MAX else {"count": len(numbers), "fnv": "%016X" % fnv(numbers)}


def write(path, reference, encode, decode, vocab_size, pattern="", specials=(), name=None):
    """`path`: the tokenizer's file. Decoded text that is the text itself is kept as true.

    Where the reference makes one of the ids `specials` of a text, which Halcyon never does, there is no
    expectation but that.
    """
    entries = []
    for title, text in texts():
        ids = encode(text)
        if set(ids) & set(specials):
            entries.append({"text": title, "never": sorted(specials)})
            continue
        decoded = decode(ids)
        entries.append({"text": title, "ids": summary(ids),
                        "decoded": True if decoded == text else summary(list(decoded.encode()))})
    singles = [decode([i]) for i in range(vocab_size)]
    with open(name or path.rsplit(".", 1)[0] + ".expected", "w") as file:
        json.dump({"reference": reference, "file": path, "pattern": pattern, "vocab_size": vocab_size,
                   "singles": summary(list("\0".join(singles).encode())), "entries": entries}, file,
                  separators=(",", ":"), ensure_ascii=True)
        file.write("\n")
