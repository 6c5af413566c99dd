#!/usr/bin/env python3
"""Writes a JSON Lines file of distinct texts that this machine holds: a third each English, other languages, code.

    mixed_text.py OUT.jsonl MEGABYTES

English are the files of /usr/share/doc, code the headers and Python modules of the system, the other languages
translated manual pages and message catalogues (/usr/share/locale), the same share of each language. A paragraph
occurs once in the file, so that common licences do not make up the English part.
"""

import gettext
import glob
import gzip
import hashlib
import json
import random
import sys

LANGUAGES = ("ar bg cs da de el es fa fi fr he hi hu id it ja ka ko nl pl pt_BR ru sv th tr uk vi zh_CN").split()
DOCUMENT_BYTES = 4000


def read(path):
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            return file.read().decode()
    except (OSError, EOFError, UnicodeDecodeError):
        return ""


def messages(path):
    try:
        with open(path, "rb") as file:
            catalogue = gettext.GNUTranslations(file)._catalog
    except (OSError, LookupError, ValueError):  # UnicodeDecodeError is one
        return ""
    return "\n\n".join(text for key, text in catalogue.items() if key and text and text != key)


def files(*patterns):
    found = sorted(path for pattern in patterns for path in glob.glob(pattern, recursive=True))
    random.Random(1).shuffle(found)
    return found


def paragraphs(texts, seen):
    for text in texts:
        for paragraph in text.replace("\0", "").split("\n\n"):
            digest = hashlib.md5(paragraph.strip().encode()).digest()
            if paragraph.strip() and digest not in seen:
                seen.add(digest)
                yield paragraph
        yield None


def documents(texts, seen, bytes_max):
    """A document is some paragraphs of one file."""
    parts, size, total = [], 0, 0
    for paragraph in paragraphs(texts, seen):
        if paragraph is not None:
            parts.append(paragraph)
            size += len(paragraph.encode()) + 2
        if parts and (paragraph is None or size >= DOCUMENT_BYTES):
            yield "\n\n".join(parts) + "\n"
            total += size
            parts, size = [], 0
            if total >= bytes_max:
                return


def main():
    path, third = sys.argv[1], int(sys.argv[2]) * 1000000 // 3
    seen = set()
    english = (read(p) for p in files("/usr/share/doc/**/*.gz", "/usr/share/doc/**/*.html", "/usr/share/doc/**/*.txt",
                                      "/usr/share/doc/**/*.rst", "/usr/share/doc/**/README*", "/usr/share/man/man*/*.gz"))
    code = (read(p) for p in files("/usr/lib/python3/**/*.py", "/usr/lib/python3.*/**/*.py", "/usr/share/perl/**/*.p[lm]",
                                   "/usr/include/**/*.h", "/usr/include/**/*.hpp"))
    out = [*documents(english, seen, third), *documents(code, seen, third)]
    for language in LANGUAGES:
        translated = [*(read(p) for p in files("/usr/share/man/%s/**/*.gz" % language)),
                      *(messages(p) for p in files("/usr/share/locale/%s/LC_MESSAGES/*.mo" % language))]
        random.Random(2).shuffle(translated)
        part = [*documents(translated, seen, third // len(LANGUAGES))]
        print(language, sum(len(t.encode()) for t in part))
        out += part
    random.Random(3).shuffle(out)
    with open(path, "w") as file:
        for text in out:
            file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    print("%d documents, %d bytes" % (len(out), sum(len(text.encode()) for text in out)))


main()
