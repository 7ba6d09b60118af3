"""Writes the reference data of internal/tokenizer from Hugging Face's libraries.

    python scripts/golden_tokenizer.py                      small tokenizers and golden ids
    python scripts/golden_tokenizer.py --unicode            character tables of the library
    python scripts/golden_tokenizer.py --glue DATA --mpnet DIR --out F  digests over real GLUE files

DATA holds glue/<TASK>/*.tsv and tokenizers/{roberta-base,bert-uncased}, and DIR
is all-mpnet-base-v2. Needs the packages tokenizers and transformers; the product itself does not.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import struct

import tokenizers
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "internal", "tokenizer")
DATA = os.path.join(ROOT, "testdata")
VERSIONS = {"tokenizers": tokenizers.__version__, "transformers": transformers.__version__}

# This training text was written for this purpose. It repeats enough words for merges.
CORPUS = [
    "The river carries the boats down to the harbour, and the boatmen sing while they row.",
    "It isn't the weather that worries them; it's the wind they'd rather not meet at night.",
    "We're told that they've sailed 1234 miles in 56 days, which I'll believe when I see it!",
    "Low-rank adapters learn slowly at first, then faster, and then they forget what they learned.",
    "A café in Zürich sells naïve paintings, jalapeños and crème brûlée for 12.50 each.",
    "Was the answer (yes) or [no]? Nobody knows... \"Perhaps\", said the teacher, \"ask again\".",
    "Tokenizers split unbelievable words like internationalization and antidisestablishment.",
    "The quick brown foxes were jumping over the lazily sleeping dogs in the yard yesterday.",
    "Ελληνικά γράμματα, русские буквы, 日本語の文字 and emoji 😀 appear here once or twice.",
] * 3

# These texts contain cases that other tokenizers have got wrong.
NASTY = [
    "", " ", "  ", "\t", "\n", " \n ", "a", " a", "a ", "  a  ", "a  b", "a   b    c", "a\tb\r\nc", "\ta", "a\t\tb ",
    "The boats don't sing.", "isn't it's they'd we're they've I'll I'm", "DON'T IT'S I'LL", "'s 't 're ' ' ''s x'y 'x",
    "rock 'n' roll", "don\u2019t \u2018quote\u2019 \u201cdouble\u201d", "a\u00a0b \u00a0c\u00a0 d",
    "a\u2003b\u3000c\u2028d\u2029e\u0085f",
    "a\u200bb\u200dc\ufeffd\u00ade\u2060f", "\u0000a\u0007b\u001fc\u007fd\u0080e\ufffdf", "a\u000bb\u000cc",
    "café cafe\u0301 CAFE\u0301 Ünï\u0308cödé", "a\u0301\u0323\u0302b \u0301x", "q" + "\u0301" * 40 + "\u0323z",
    "Å\u212b ﬁ Ǆ ǅ ß ẞ",
    "İstanbul ıI ΣΑΣ ΌΣΟΣ", "한국어 각 \u1100\u1161\u11a8", "日本語のテキスト 漢字kanji漢字", "中文，标点。「引号」",
    "豈\uf900\U0002f800\U00020000\U0002b920\U0002b820",
    "😀 😀😀 👍🏽 👨\u200d👩\u200d👧 🇩🇪 ❤\ufe0f", "x😀y", "1 12 123 1234567890 3.14 1,000 ½ ² ٣ Ⅷ ①", "a1b2c3 1a 1st",
    "$5 €5 £5 ¥5 50% #tag @user a_b-c/d\\e",
    "(a)[b]{c}<d>!\"#$%&'*+,-./:;=?^_`|~", "...!!!???---", "¡hola! ¿qué? «a» §1 ¶ †", "\u0915\u094d\u0937\u0947\u0924\u094d\u0930 नमस्ते ไทย العربية עברית",
    "x" * 99, "x" * 100, "x" * 101, "é" * 100, "é" * 101, "the" * 60, "word " * 30, "-" * 70, " " * 20 + "x", "1" * 120,
    "unbelievable antidisestablishmentarianism", "THE RIVER", "The  river\u0009 ",
    "\U0001f9ff\U000e0041\U0010ffff\ue000\ufdd0",
    "<s>", "</s> a <s>", "a<mask>b", "a <mask> b", "a  \t<mask>  b", "<mask><mask>", "<MASK> <unk> <pad>", "< mask >",
    "[CLS]", "[SEP] a [CLS]", "a[MASK]b", "a [MASK] b", "[mask] [unk] [PAD][UNK]", "[ MASK ]", "a</s>", "[CLS[CLS]]",
    "<s<s>>",
    "<new> <NEW> <newer>", "a<new>b a <new> b", "tok tokx xtok tok.", "a <left> b <right> c", "a  <right>  <left> b",
    "é<accent> <ACCÉNT> <áccent>",
    "<new>> <new>", "a\u302e\U0001d165b a\U0001d165\u302eb",
]

PAIRS = [
    ("the boats sing", "the river"), ("a", "b"), ("", ""), ("", "the river"), ("the river", ""), (" a ", " b "),
    ("the quick brown foxes", "were jumping over it"), ("one two three four", "five"), ("five", "one two three four"),
    ("the [SEP] </s> river", "<mask> [MASK] boats"), ("日本語", "😀 café"), ("isn't it", "it's\tnot "),
]


def random_texts(n, seed):
    """Random strings of characters of every kind, for rules that the texts above do not reach."""
    pools = ["abcdefghijklmnopqrstuvwxyz", "ABCDEÀÉÎÕÜ", "0123456789²½٣", "      ", "\t\n\r\u00a0\u2003\u0085",
             "'\".,!?-()[]<>#$",
             "'s't're've'm'll'd", "\u0301\u0308\u0323\u0327\u200d\ufe0f", "éñüçøåßſİıΣς", "日本漢字カなア한", "😀👍🏽❤🇩",
             "\u0000\u0007\u007f\u00ad\u200b\ufeff\ufffd"]
    rnd = random.Random(seed)
    weights = [12, 3, 3, 6, 1, 3, 2, 2, 2, 1, 1, 1]
    return ["".join(rnd.choice(rnd.choices(pools, weights)[0]) for _ in range(rnd.randint(1, 30))) for _ in range(n)]


def train_bpe():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=600, special_tokens=names, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    spec = json.loads(t.to_str())
    # <mask> comes last, as in RoBERTa, and is part of the model's vocabulary.
    spec["model"]["vocab"]["<mask>"] = len(spec["model"]["vocab"])
    t = Tokenizer.from_str(json.dumps(spec))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    return t


def make_wordpiece():
    """WordPieceTrainer breaks ties at random, so the vocabulary is chosen by count."""
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    words, tails, chars = {}, {}, set()
    for line in CORPUS + ["ABCDEFGHIJKLMNOPQRSTUVWXYZ é e ü ß 1 2 3 # $ 日 本"]:
        for word, _ in t.pre_tokenizer.pre_tokenize_str(t.normalizer.normalize_str(line)):
            words[word] = words.get(word, 0) + 1
            chars.update(word)
            for n in range(2, min(6, len(word))):
                tails[word[-n:]] = tails.get(word[-n:], 0) + 1

    def top(counts, n):
        return sorted(counts, key=lambda w: (-counts[w], w))[:n]

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + sorted(chars) + ["##" + c for c in sorted(chars)]
    tokens += top(words, 130) + ["##" + w for w in top(tails, 150)]
    # The vocabulary also has cased and accented tokens, and the prefix as a token.
    tokens += ["The", "Was", "##É", "é", "É", "caf", "##é", "I", "##T", "##", "##\u302e", "##\U0001d165"]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    spec = json.loads(t.to_str())
    spec["model"]["vocab"] = vocab
    t = Tokenizer.from_str(json.dumps(spec))
    t.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    t.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return t


def edit(t, change):
    spec = json.loads(t.to_str())
    change(spec)
    return spec


def write_json(path, value):
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        json.dump(value, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


def folder(name):
    path = os.path.join(DATA, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def added(content, id, **kw):
    base = {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": False}
    return {**base, **kw}


def variants():
    """Yields (folder, tokenizer) after writing the folder's files."""
    bpe, wp = train_bpe(), make_wordpiece()

    def from_json(name, spec):
        path = folder(name)
        write_json(os.path.join(path, "tokenizer.json"), spec)
        return name, Tokenizer.from_str(json.dumps(spec))

    def from_files(name, cls, files):
        path = folder(name)
        for file, value in files.items():
            if isinstance(value, str):
                with open(os.path.join(path, file), "w", encoding="utf-8", newline="\n") as f:
                    f.write(value)
            else:
                write_json(os.path.join(path, file), value)
        return name, cls.from_pretrained(path).backend_tokenizer

    yield from_json("bpe", edit(bpe, lambda s: None))
    spec = edit(bpe, lambda s: None)
    vocab, merges = spec["model"]["vocab"], spec["model"]["merges"]
    files = {"vocab.json": vocab, "merges.txt": "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)}
    mask = {"mask_token": {"content": "<mask>", "lstrip": True, "rstrip": False, "normalized": False,
                           "single_word": False}}
    yield from_files("bpe-files", transformers.RobertaTokenizerFast, {**files, "special_tokens_map.json": mask})
    yield from_files("bpe-prefix", transformers.RobertaTokenizerFast, {
        **files, "tokenizer_config.json": {"add_prefix_space": True, "added_tokens_decoder": {
            str(vocab["<mask>"]): {"content": "<mask>", "lstrip": True, "rstrip": True, "normalized": True,
                                   "single_word": False, "special": True}}}})

    # This vocabulary lacks many bytes. It is written with each of the three ways to
    # handle them.
    keep = {k: v for k, v in vocab.items() if not any(c in k for c in "qxzQXZĉÂ") and v < 400 or k == "<mask>"}
    keep = {k: i for i, k in enumerate(keep)}
    short = [m for m in merges if m[0] in keep and m[1] in keep and m[0] + m[1] in keep]
    ids = {t: keep[t] for t in ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]}

    def reduced(unk, fuse, ignore):
        def change(s):
            s["model"].update(vocab=keep, merges=[" ".join(m) for m in short], unk_token=unk, fuse_unk=fuse,
                              ignore_merges=ignore)
            if ignore:
                s["model"]["merges"] = s["model"]["merges"][: len(short) // 2]
            s["added_tokens"] = [{**t, "id": ids[t["content"]]} for t in s["added_tokens"]]
            s["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [s["pre_tokenizer"]]}
        return edit(bpe, change)

    yield from_json("bpe-drop", reduced(None, False, False))
    yield from_json("bpe-unk", reduced("<unk>", False, False))
    yield from_json("bpe-fuse", reduced("<unk>", True, True))

    def more(s):
        n = max(s["model"]["vocab"].values()) + 1
        s["added_tokens"] += [added("<new>", n), added("<new>>", n + 1),
                              added("tok", n + 2, single_word=True, normalized=True),
                              added("<left>", n + 3, lstrip=True), added("<right>", n + 4, rstrip=True, special=True),
                              added("<ACCÉNT>", n + 5, normalized=True)]

    def bpe_more(s):
        more(s)
        s["post_processor"] = {"type": "Sequence", "processors": [
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
            {"type": "TemplateProcessing",
             "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
             "pair": [{"Sequence": {"id": "B", "type_id": 2}}, {"SpecialToken": {"id": "</s>", "type_id": 1}},
                      {"Sequence": {"id": "A", "type_id": 0}}],
             "special_tokens": {"<s>": {"id": "<s>", "ids": [0, 3], "tokens": ["<s>", "<unk>"]},
                                "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}}]}

    yield from_json("bpe-added", edit(bpe, bpe_more))

    yield from_json("wordpiece", edit(wp, lambda s: None))
    spec = edit(wp, lambda s: None)
    text = "".join(token + "\n" for token, _ in sorted(spec["model"]["vocab"].items(), key=lambda kv: kv[1]))
    yield from_files("wordpiece-files", transformers.BertTokenizerFast, {"vocab.txt": text})
    yield from_files("wordpiece-cased", transformers.BertTokenizerFast, {"vocab.txt": text, "tokenizer_config.json": {
        "do_lower_case": False, "tokenize_chinese_chars": False, "mask_token": "[MASK]"}})
    yield from_files("wordpiece-accents", transformers.BertTokenizerFast, {"vocab.txt": text, "tokenizer_config.json": {
        "do_lower_case": True, "strip_accents": False}})

    def raw(s):
        more(s)
        s["normalizer"].update(clean_text=False, lowercase=False, strip_accents=True)
        s["model"].update(max_input_chars_per_word=12)
        del s["model"]["type"]
        s["post_processor"] = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}

    # MPNet has BERT's vocabulary and RoBERTa's special tokens around a text.
    vocab = ["<s>", "<pad>", "</s>", "<unk>"] + list(spec["model"]["vocab"]) + ["<mask>"]
    text = "".join(token + "\n" for token in vocab)
    yield from_files("mpnet-files", transformers.MPNetTokenizer, {
        "vocab.txt": text, "tokenizer_config.json": {"tokenizer_class": "MPNetTokenizer"}})

    def mpnet(s):
        n = len(vocab) - 1
        s["model"]["vocab"] = {token: i for i, token in enumerate(vocab)}
        s["added_tokens"] = [added(vocab[i], i, special=True) for i in (0, 1, 2)] + [
            added("<unk>", 3, special=True, normalized=True), added("[UNK]", vocab.index("[UNK]"), special=True),
            added("<mask>", n, special=True, lstrip=True)]
        s["post_processor"] = {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0],
                               "trim_offsets": True, "add_prefix_space": False}

    yield from_json("mpnet", edit(wp, mpnet))

    yield from_json("wordpiece-added", edit(wp, lambda s: (raw(s), s["normalizer"].update(lowercase=True))))
    yield from_json("wordpiece-raw", edit(wp, raw))


def encode(t, a, b, limit):
    # The limits are not below the number of special tokens, for which the library's
    # arithmetic underflows.
    t.no_truncation() if not limit else t.enable_truncation(limit)
    e = t.encode(a, b) if b is not None else t.encode(a)
    return e.ids, e.type_ids


def record(t, singles):
    """What a tokenizer gives for texts and pairs, whole and truncated."""
    t.no_padding()
    out = {"singles": [encode(t, a, None, 0)[0] for a in singles], "pairs": [], "truncated": []}
    out["decoded"] = [t.decode(ids, skip_special_tokens=False) for ids in out["singles"][:90:3]]
    out["pairs"] = [encode(t, a, b, 0) for a, b in PAIRS]
    low = t.num_special_tokens_to_add(True)
    for i, (a, b) in enumerate(PAIRS[:11]):
        full = len(out["pairs"][i][0])
        for limit in range(max(low, 3), min(full, 24) + 2):
            out["truncated"].append({"pair": i, "max": limit, "ids": encode(t, a, b, limit)[0]})
    for limit in range(3, 12):
        out["truncated"].append({"text": singles[15], "max": limit, "ids": encode(t, singles[15], None, limit)[0]})
    t.no_truncation()
    return out


def golden():
    singles = NASTY + random_texts(40, 7)
    written = {"versions": VERSIONS, "texts": singles, "pairs": PAIRS,
               "tokenizers": {name: record(t, singles) for name, t in variants()}}
    os.makedirs(os.path.join(DATA, "golden"), exist_ok=True)
    write_json(os.path.join(DATA, "golden", "encode.json"), written)


def ranges(members):
    out = []
    for c in members:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in out)


def lower_runs(pairs):
    """Groups (rune, lower) into first-last/step:delta with step 1 or 2."""
    out = []
    for c, to in pairs:
        if out and out[-1][3] == to - c and c - out[-1][1] in ((1, 2) if out[-1][0] == out[-1][1] else (out[-1][2],)):
            out[-1][2], out[-1][1] = c - out[-1][1], c
        else:
            out.append([c, c, 1, to - c])
    return " ".join(f"{a:x}-{b:x}/{s:x}:{'-' if d < 0 else ''}{abs(d):x}" for a, b, s, d in out)


def unicode_tables():
    """Determines the character classes of the library, one code point at a time."""
    def bert(**on):
        return normalizers.BertNormalizer(**{**dict(clean_text=False, handle_chinese_chars=False, strip_accents=False,
                                                    lowercase=False), **on})

    clean, strip, low = bert(clean_text=True), bert(strip_accents=True), bert(lowercase=True)
    words, bert_words = pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.BertPreTokenizer()
    nfd = normalizers.NFD()
    found = {k: [] for k in ["letter", "number", "dropped", "punctuation", "accent", "decomposed", "combining"]}
    lower, digests = [], {k: hashlib.sha256() for k in ["class", "default", "cased", "lower", "strip", "words"]}
    default = normalizers.BertNormalizer()
    cased = normalizers.BertNormalizer(lowercase=False)
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        ch = chr(c)
        count = [len(words.pre_tokenize_str(x + ch + x)) for x in "a1!"]
        kind = next((k for k, n in enumerate(count) if n == 1), 3)
        if kind < 2:
            found[["letter", "number"][kind]].append(c)
        if clean.normalize_str(ch) == "":
            found["dropped"].append(c)
        pieces = [p for p, _ in bert_words.pre_tokenize_str("a" + ch + "a")]
        if len(pieces) == 3:
            found["punctuation"].append(c)
        if nfd.normalize_str(ch) == ch and strip.normalize_str(ch) == "":
            found["accent"].append(c)
        if nfd.normalize_str(ch) != ch:
            found["decomposed"].append(c)
        # A mark is moved before one of class 230 or after one of class 1.
        elif nfd.normalize_str("\u0301" + ch) != "\u0301" + ch or nfd.normalize_str(ch + "\u0334") != ch + "\u0334":
            found["combining"].append(c)
        lowered = low.normalize_str(ch)
        if lowered != ch and len(lowered) == 1:
            lower.append((c, ord(lowered)))
        elif lowered != ch:
            assert ch == "\u0130", ch
        for name, text in [("class", str(kind)), ("default", default.normalize_str(ch)),
                           ("cased", cased.normalize_str(ch)), ("lower", lowered),
                           ("strip", strip.normalize_str(ch)), ("words", "\n".join(pieces))]:
            digests[name].update(text.encode() + b"\0")
    with open(os.path.join(ROOT, "unicode_tables.txt"), "w", newline="\n") as f:
        f.write(f"# Character classes of Hugging Face tokenizers {tokenizers.__version__}; written by scripts/golden_tokenizer.py --unicode\n")
        for name, members in found.items():
            f.write(f"{name} {ranges(members)}\n")
        f.write(f"lower {lower_runs(lower)}\n")
    os.makedirs(os.path.join(DATA, "golden"), exist_ok=True)
    write_json(os.path.join(DATA, "golden", "unicode.json"),
               {"versions": VERSIONS, "sha256": {k: d.hexdigest() for k, d in digests.items()}})


# The lists are the text columns of each task's files: columns that are encoded alone,
# then the pair.
GLUE = {
    "CoLA/dev.tsv": ([3], None), "CoLA/train.tsv": ([3], None), "CoLA/test.tsv": ([1], None),
    "MRPC/dev.tsv": ([3, 4], (3, 4)), "MRPC/train.tsv": ([3, 4], (3, 4)), "MRPC/test.tsv": ([3, 4], (3, 4)),
    "RTE/dev.tsv": ([1, 2], (1, 2)), "RTE/train.tsv": ([1, 2], (1, 2)), "RTE/test.tsv": ([1, 2], (1, 2)),
    "SST-2/dev.tsv": ([0], None), "SST-2/train.tsv": ([0], None), "SST-2/test.tsv": ([1], None),
    "STS-B/dev.tsv": ([7, 8], (7, 8)), "STS-B/train.tsv": ([7, 8], (7, 8)), "STS-B/test.tsv": ([7, 8], (7, 8)),
    "STS-B/sts-test-original.tsv": ([5, 6], (5, 6)),
}


def glue(data, mpnet, out):
    loaded = {"roberta-base": transformers.RobertaTokenizerFast.from_pretrained(os.path.join(data, "tokenizers",
                                                                                             "roberta-base")),
              "bert-uncased": transformers.BertTokenizerFast.from_pretrained(os.path.join(data, "tokenizers",
                                                                                          "bert-uncased")),
              "all-mpnet-base-v2": transformers.MPNetTokenizer.from_pretrained(mpnet)}
    entries = []
    for file, (alone, pair) in GLUE.items():
        with open(os.path.join(data, "glue", file), encoding="utf-8", newline="\n") as f:
            lines = f.read().split("\n")
        if lines[-1] == "":
            lines.pop()
        rows = [line.split("\t") for line in lines]

        def column(i):
            return [r[i] if i < len(r) else "" for r in rows]

        for columns in [[c] for c in alone] + ([list(pair)] if pair else []):
            for name, tok in loaded.items():
                for limit in (0, 128, 24):
                    cut = {"truncation": "longest_first", "max_length": limit} if limit else {"truncation": False}
                    texts = [column(c) for c in columns]
                    rows_ids = tok(*texts, padding=False, verbose=False, **cut)["input_ids"]
                    h = hashlib.sha256()
                    for ids in rows_ids:
                        h.update(struct.pack(f"<{len(ids) + 1}i", len(ids), *ids))
                    entries.append({"file": file, "columns": columns, "tokenizer": name, "max_length": limit,
                                    "lines": len(rows), "sha256": h.hexdigest()})
    with open(out, "w", newline="\n") as f:
        f.write('{"versions":' + json.dumps(VERSIONS) + ',"files":[\n' + ",\n".join(json.dumps(e) for e in entries)
                + "\n]}\n")


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--unicode", action="store_true")
    p.add_argument("--glue", metavar="DATA")
    p.add_argument("--mpnet", metavar="DIR")
    p.add_argument("--out", metavar="F", default=os.path.join(DATA, "golden", "glue.json"))
    args = p.parse_args()
    if args.unicode:
        unicode_tables()
    elif args.glue:
        glue(args.glue, args.mpnet, args.out)
    else:
        golden()
