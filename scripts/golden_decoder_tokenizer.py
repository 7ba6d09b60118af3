"""Writes the reference data of internal/tokenizer for decoders.

    python scripts/golden_decoder_tokenizer.py                     small tokenizers and golden ids
    python scripts/golden_decoder_tokenizer.py --unicode           tables of numerals and composites
    python scripts/golden_decoder_tokenizer.py --texts DATA        digests over the benchmark files
    python scripts/golden_decoder_tokenizer.py --texts DATA --dir D  the same for one more tokenizer

DATA holds eval/ and tokenizers/{llama2,gpt2}; D is the directory of another
tokenizer, whose digests are printed. Needs the packages tokenizers and
sentencepiece. The tokenizers are trained here, so that no vocabulary of others
is in the repository.
"""

import argparse
import glob
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import struct

import sentencepiece
import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from golden_tokenizer import CORPUS, DATA, NASTY, ROOT, random_texts, ranges, write_json

VERSIONS = {"tokenizers": tokenizers.__version__, "sentencepiece": sentencepiece.__version__}
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL
QWEN = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL

CODE = ["def add(x, y):\n    return x + y\n\n\nclass A:\n\tpass\r\n", "    if x is None:\r\n        return\n",
        "for i in range(10):\n\n  print(i)   # 3 blanks\n"]

# What decoders get wrong: line ends, digits, capital contractions, blanks.
DECODER_NASTY = CODE + [
    "\u2581", "\u2581a", "a\u2581b", "a \u2581 b", "a  \u2581\u2581b", " \u2581", "<0x0A>", "a<0x41>b", "\r\n\r\n",
    "a\n\nb", "a \n b", "a\n \nb", "  \n  x", "x\n\n\n", "\n\n x", " \r\n\t\n a",
    "IT'S I'LL WE'VE THEY'RE I'M HE'D DON'T", "it'ſ 'ſ 'St 'ST's", "x'\u017f", "'l 'L 'lL 'rE 'Ve 'r 'v",
    "1234567 12 3", "x²½ ٣ Ⅷ ①12", "a1 1a 1,000.50", "\U00011de0\U00011de1",
    "Hello!\n\nBye.\r\n?", "!!!\n\n\n???", " !\n", "http://a.b/c?d=e&f",
    "e\u0301 \u1100\u1161\u11a8 \u212b \u0344 \u0958 \u2adc", "a\u0327\u0301 a\u0301\u0327",
    "\u0b47\u0b56\u0b3e \U00011938 \U00011935\U00011930",
    "s\u0323\u0307 \u1e9b\u0323 \ufb1f \u0f73\u0f75", "q" + "\u0301" * 40 + "\u0323z",
    "\u1161\u11a7 \uac00\u11a8\u11a8", "x<s>y", "x <s> y", "<s>", " <s> a", "a</s> b",
    "<|im_start|>user\nhi<|im_end|>\n", "<|end|> <|x|>a",
    "▁▁▁▁return", "tab\there", "\u00a0 nbsp", "\u3000wide", "中文 字符。", "🙂🙂 👨\u200d👩\u200d👧", "\u0004a\u0006b\u0000",
    "<tool> a<tool>b <new>",
]


def special(content, n, **k):
    return {"id": n, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True, **k}


def bytelevel(pre, normalizer=None, size=500, drop=()):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(CORPUS + CODE * 3, trainers.BpeTrainer(vocab_size=size,
                                                                 special_tokens=["<|end|>", "<|im_start|>",
                                                                                 "<|im_end|>"],
                                                                 initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                                                 show_progress=False))
    return json.loads(t.to_str())


def bos(s, token, i):
    s["post_processor"] = {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": token, "type_id": 0}},
                                                  {"Sequence": {"id": "A", "type_id": 0}}],
         "pair": [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                  {"SpecialToken": {"id": token, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
         "special_tokens": {token: {"id": token, "ids": [i], "tokens": [token]}}}]}


def save(name, spec, files=None):
    path = os.path.join(DATA, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    write_json(os.path.join(path, "tokenizer.json"), spec)
    for file, value in (files or {}).items():
        write_json(os.path.join(path, file), value)
    return Tokenizer.from_str(json.dumps(spec))


def from_model(proto, **change):
    """tokenizer.json of a SentencePiece model, as transformers converts it."""
    sp = sentencepiece.SentencePieceProcessor(model_proto=proto)
    n = sp.get_piece_size()
    vocab = {sp.id_to_piece(i): i for i in range(n)}
    merges = []
    for i in range(n):
        w = sp.id_to_piece(i)
        if not (sp.is_byte(i) or sp.is_control(i) or sp.is_unknown(i)):
            merges += [(sp.get_score(i), w[:k], w[k:]) for k in range(1, len(w)) if w[:k] in vocab and w[k:] in vocab]
    merges.sort(key=lambda m: -m[0])
    t = Tokenizer(models.BPE(vocab=vocab, merges=[(a, b) for _, a, b in merges], unk_token="<unk>", fuse_unk=True,
                             byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    spec = json.loads(t.to_str())
    spec["added_tokens"] = [special("<unk>", 0), special("<s>", 1), special("</s>", 2)]
    bos(spec, "<s>", 1)
    spec["post_processor"] = spec["post_processor"]["processors"][1]
    spec.update(change)
    return spec


def metaspace(scheme, split):
    return {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581",
                                                  "prepend_scheme": scheme, "split": split}}


def variants():
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    llama = bytelevel(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), level]))
    llama["model"]["ignore_merges"] = True
    bos(llama, "<|end|>", 0)
    n = len(llama["model"]["vocab"])
    llama["added_tokens"] += [special("<tool>", n, special=False),
                              special("<new>", n + 1, special=False, normalized=True)]
    yield "llama3", save("llama3", llama, {"tokenizer_config.json": {"bos_token": "<|end|>", "eos_token": "<|im_end|>",
                                                                     "chat_template": "{{ bos_token }}"}})
    qwen = bytelevel(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN), "isolated"), level]), normalizers.NFC())
    qwen["post_processor"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    yield "qwen", save("qwen", qwen, {"tokenizer_config.json": {"bos_token": None, "eos_token": "<|im_end|>",
                                                                "add_bos_token": False}})
    # SmolLM2's vocabulary lacks some bytes, which are dropped.
    smol = bytelevel(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                              pre_tokenizers.ByteLevel(add_prefix_space=False)]))
    lost = {pre for pre in ["\u0104", "\u0106", "\u00c1"]}
    smol["model"]["vocab"] = {t: i for i, t in enumerate(t for t in smol["model"]["vocab"] if t not in lost)}
    yield "smollm", save("smollm", smol, {"tokenizer_config.json": {"bos_token": "<|im_start|>",
                                                                    "eos_token": "<|im_end|>",
                                                                    "add_prefix_space": False}})
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS + [line for text in CODE * 3 for line in text.splitlines()]), model_writer=out,
        model_type="bpe", vocab_size=600,
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
        character_coverage=0.98,
        allow_whitespace_only_pieces=True, num_threads=1, minloglevel=2)
    proto = out.getvalue()
    os.makedirs(os.path.join(DATA, "llama-model"), exist_ok=True)
    with open(os.path.join(DATA, "llama-model", "tokenizer.model"), "wb") as f:
        f.write(proto)
    yield "llama", save("llama", from_model(proto), {"tokenizer_config.json": {"bos_token": "<s>", "eos_token": "</s>",
                                                                               "legacy": True}})
    yield "llama-first", save("llama-first", from_model(proto, **metaspace("first", False)))
    yield "llama-always", save("llama-always", from_model(proto, post_processor=None, **metaspace("always", True)))
    never = from_model(proto, **metaspace("never", False))
    never["decoder"]["decoders"].pop()
    yield "llama-never", save("llama-never", never)
    bare = from_model(proto)
    bare["normalizer"]["normalizers"].pop(0)
    yield "llama-bare", save("llama-bare", bare)


def golden():
    texts = list(dict.fromkeys(NASTY + DECODER_NASTY + random_texts(60, 11)))
    written = {"versions": VERSIONS, "texts": texts, "tokenizers": {}}
    for name, t in variants():
        rnd = random.Random(5)
        n = t.get_vocab_size()
        streams = [[rnd.randrange(n) if rnd.random() < 0.5 else rnd.randrange(min(n, 260))
                    for _ in range(rnd.randint(1, 24))] for _ in range(80)]
        singles = [t.encode(x).ids for x in texts]
        written["tokenizers"][name] = {
            "singles": singles, "streams": streams,
            "decoded": [t.decode(ids, skip_special_tokens=False) for ids in singles[::3] + streams],
            "plain": [t.decode(ids) for ids in singles[::3] + streams]}
    sp = sentencepiece.SentencePieceProcessor(model_file=os.path.join(DATA, "llama-model", "tokenizer.model"))
    written["sentencepiece"] = [sp.encode(x) for x in texts]
    write_json(os.path.join(DATA, "golden", "decoders.json"), written)


def split_one(splits, sums, ch):
    text = f"a{ch}1{ch}!{ch}\n{ch}{ch} {ch} '{ch} '{ch}e '{ch}l 'r{ch} 'v{ch} 'l{ch}\r{ch}"
    for name, split in splits.items():
        sums[name].update("\n".join(str(b - a) for _, (a, b) in split.pre_tokenize_str(text)).encode() + b"\0")


def unicode_tables():
    digits, nfc, nfd = pre_tokenizers.Digits(individual_digits=True), normalizers.NFC(), normalizers.NFD()
    splits = {"llama3": pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
              "qwen": pre_tokenizers.Split(Regex(QWEN), "isolated"),
              "smollm": pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])}
    found, sums = {"numeral": [], "composed": []}, {k: hashlib.sha256() for k in ["nfc", *splits]}
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        ch = chr(c)
        if len(digits.pre_tokenize_str("a" + ch + "a")) == 3:
            found["numeral"].append(c)
        if nfd.normalize_str(ch) != ch and nfc.normalize_str(ch) == ch and not 0xAC00 <= c < 0xD7A4:
            found["composed"].append(c)
        # The classes of all other characters are in unicode.json.
        if c < 0x3400 or 0xA000 <= c < 0xAC00 or 0xD7A4 <= c < 0x20000:
            split_one(splits, sums, ch)
        if c < 0x30000:
            sums["nfc"].update(nfc.normalize_str(f"{ch}\u0301a{ch}e{ch}\u0323{ch}\u1100{ch}\uac00{ch}").encode()
                               + b"\0")
    with open(os.path.join(ROOT, "unicode_decoders.txt"), "w", newline="\n") as f:
        f.write(f"# Character classes of Hugging Face tokenizers {tokenizers.__version__} for decoders; written by scripts/golden_decoder_tokenizer.py --unicode\n")
        for name, members in found.items():
            f.write(f"{name} {ranges(members)}\n")
    write_json(os.path.join(DATA, "golden", "unicode_decoders.json"),
               {"versions": VERSIONS, "sha256": {k: d.hexdigest() for k, d in sums.items()}})


def texts_of(data):
    """Every text of the benchmark and instruction files, by file, in order."""
    root = os.path.join(data, "eval")
    for path in sorted(glob.glob(root + "/**/*", recursive=True)):
        name = os.path.relpath(path, root)
        if path.endswith(".csv"):
            with open(path, newline="", encoding="utf-8") as f:
                yield name, f.read().split("\n")
        elif path.endswith(".jsonl.gz"):
            with gzip.open(path, "rt", encoding="utf-8", newline="") as f:
                yield name, f.read().split("\n")
        elif path.endswith(".json"):
            with open(path, encoding="utf-8") as f:
                rows = json.load(f)
            rows = rows["examples"] if isinstance(rows, dict) else rows
            yield name, [row[k] for row in rows for k in sorted(row) if isinstance(row[k], str)]


def digests(data, dirs):
    out = []
    for name, texts in texts_of(data):
        for tok, encode in dirs.items():
            h = hashlib.sha256()
            for text in texts:
                ids = encode(text)
                h.update(struct.pack(f"<{len(ids) + 1}i", len(ids), *ids))
            out.append({"file": name, "tokenizer": tok, "texts": len(texts), "sha256": h.hexdigest()})
    return out


def digest_file(data, extra):
    root = os.path.join(data, "tokenizers")
    dirs = {}
    for name in ["llama2", "gpt2"]:
        t = Tokenizer.from_file(os.path.join(root, name, "tokenizer.json"))
        dirs[name] = lambda x, t=t: t.encode(x).ids
    sp = sentencepiece.SentencePieceProcessor(model_file=os.path.join(root, "llama2", "tokenizer.model"))
    dirs["sentencepiece"] = sp.encode
    if extra:
        t = Tokenizer.from_file(os.path.join(extra, "tokenizer.json"))
        print(json.dumps(digests(data, {"extra": lambda x: t.encode(x).ids})))
        return
    entries = digests(data, dirs)
    with open(os.path.join(DATA, "golden", "texts.json"), "w", newline="\n") as f:
        f.write('{"versions":' + json.dumps(VERSIONS) + ',"files":[\n' + ",\n".join(json.dumps(e) for e in entries)
                + "\n]}\n")


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--unicode", action="store_true")
    p.add_argument("--texts", metavar="DATA")
    p.add_argument("--dir", metavar="D")
    args = p.parse_args()
    if args.unicode:
        unicode_tables()
    elif args.texts:
        digest_file(args.texts, args.dir)
    else:
        golden()
