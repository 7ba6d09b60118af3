#!/usr/bin/env python3
"""Make the demo's classification data set from WordNet 3.0 glosses.

    python scripts/demo_data.py WORDNET_DICT_DIR [--out demo/data]

WORDNET_DICT_DIR holds data.noun, data.verb, data.adj and data.adv (Debian package
wordnet-base 1:3.0-37: /usr/share/wordnet). Each example is the definition part of a
noun's gloss; its label is the noun's lexicographer category ("supersense"). The word
that is defined is not part of the text. Only the standard library is used; with the
same dictionary and seed the output is the same byte for byte. Written with Python 3.11;
takes about two seconds.
"""
import argparse
import collections
import pathlib
import random
import re

# Lexicographer file numbers (lexnames(5WN)) of the ten categories. The other noun
# categories are left out because they are rare or because their glosses overlap too
# much for a reader to tell them apart (cognition, attribute, state).
LABELS = {
    4: "act", 5: "animal", 6: "artifact", 8: "body", 10: "communication",
    13: "food", 15: "location", 18: "person", 20: "plant", 27: "substance",
}
SPLITS = {"dev": 100, "test": 100, "train": 400}  # examples per label
MIN_WORDS, MAX_WORDS = 4, 20
SEED = 20250301

Synset = collections.namedtuple("Synset", "key pos lexfile lemmas hypernyms definition examples")


def normal(text):
    """The text in a form that is equal for definitions that count as the same."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def read_synsets(folder):
    """Every synset of the dictionary, in file order (format: wndb(5WN))."""
    synsets = []
    for name in ("noun", "verb", "adj", "adv"):
        for line in (pathlib.Path(folder) / f"data.{name}").read_text("utf-8").splitlines():
            if line.startswith("  "):
                continue  # the licence, with which every data file starts
            fields, gloss = line.split(" | ", 1)
            f = fields.split()
            words = int(f[3], 16)
            lemmas = [re.sub(r"\(\w+\)$", "", w).replace("_", " ") for w in f[4:4 + 2 * words:2]]
            first = 5 + 2 * words
            pointers = [f[i:i + 4] for i in range(first, first + 4 * int(f[first - 1]), 4)]
            hypernyms = [(p[2], p[1]) for p in pointers if p[0] in ("@", "@i")]
            # A gloss is a definition followed by quoted examples, separated by
            # semicolons.
            definition = re.split(r'[;:,]?\s*"', gloss, maxsplit=1)[0].strip(" ;")
            examples = [" ".join(e.split()) for e in re.findall(r'"([^"]+)"', gloss)]
            synsets.append(Synset((f[2].replace("s", "a"), f[0]), name, int(f[1]), lemmas,
                                  hypernyms, " ".join(definition.split()), examples))
    return synsets


def choose(synsets, rng):
    """split -> list of (text, label): balanced, and no text in two splits."""
    labels_of = collections.defaultdict(set)
    for s in synsets:
        labels_of[normal(s.definition)].add(s.lexfile)
    pools, seen = collections.defaultdict(list), set()
    for s in synsets:
        text, form = s.definition, normal(s.definition)
        if s.pos != "noun" or s.lexfile not in LABELS or form in seen or len(labels_of[form]) > 1:
            continue
        seen.add(form)
        if MIN_WORDS <= len(text.split()) <= MAX_WORDS and not re.search(r'["\t\\]', text):
            pools[LABELS[s.lexfile]].append(text)
    out = {split: [] for split in SPLITS}
    for label in sorted(pools):
        rng.shuffle(pools[label])
        start = 0
        for split, count in SPLITS.items():
            out[split] += [(text, label) for text in pools[label][start:start + count]]
            start += count
    for rows in out.values():
        rng.shuffle(rows)
    return out


def read_tsv(path):
    """The (text, label) rows of a file this script wrote."""
    lines = pathlib.Path(path).read_text("utf-8").splitlines()
    return [tuple(line.split("\t")) for line in lines[1:]]


def write_licence(folder, target):
    """The licence is the indented, line-numbered head of every data file."""
    head = []
    for line in (pathlib.Path(folder) / "data.noun").read_text("utf-8").splitlines():
        if not line.startswith("  "):
            break
        head.append(re.sub(r"^\s+\d+ ?", "", line).rstrip())
    target.write_text("\n".join(head) + "\n", "utf-8")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("dict_dir")
    p.add_argument("--out", default="demo/data")
    a = p.parse_args()
    out = pathlib.Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    for split, rows in choose(read_synsets(a.dict_dir), random.Random(SEED)).items():
        body = "".join(f"{text}\t{label}\n" for text, label in rows)
        (out / f"{split}.tsv").write_text("text\tlabel\n" + body, "utf-8")
        words = sum(len(text.split()) for text, _ in rows) / len(rows)
        print(f"{split}: {len(rows)} rows, {words:.1f} words on average")
    write_licence(a.dict_dir, out / "LICENSE-WordNet.txt")


if __name__ == "__main__":
    main()
