#!/usr/bin/env python3
"""Writes Unigram tokenizers of internal/tokenizer/testdata, and what Hugging Face's libraries give for texts.

    python scripts/golden_unigram.py                        small tokenizers and golden ids
    python scripts/golden_unigram.py --glue DATA --out F    digests over real GLUE files, of the tokenizer unigram

The texts are those of scripts/golden_tokenizer.py and some for normalizers. Needs the packages sentencepiece,
tokenizers and transformers.
"""
import argparse
import hashlib
import io
import json
import os
import struct

import golden_tokenizer as base
import sentencepiece
import transformers
from tokenizers import Tokenizer

TEXTS = [
    "①②③ ㈱ ㍿ ﬀ ﬃ ㌔ ½ ™ ℡ Ⅳ", "ｆｕｌｌ　ｗｉｄｔｈ １２３ ｶﾞ ﾊﾟ", "cafe\u0301 e\u0301\u0323 a\u030a\u0301 o\u0308",
    "soft\u00adhyphen zero\u200bwidth \u200e\u200f\ufeff bom", "tab\there\r\nline\x0bfeed\x0c\x85 end\u2028x",
    "\u1112\u1161\u11ab\u1100\u1173\u11af 한글 \u1100\u1161", "\u0e33 \u0e40\u0e01\u0e32\u0e30 กำ",
    "▁ a▁b ▁▁c▁", "▁", " ▁ ", "<unk> a<unk>b <unk><unk>", "<s>NOTUSED </s>NOTUSED <unk>NOTUSED", "z\u0000y",
    "\u0915\u094d\u0937 \u0958 \u0928\u093c", "\u01c4 \u01c6 \ufb01n \u1e9b\u0323", "~ \u301c \uff5e \u02dc",
    "qqq zzz qzq the qriver", "日本語の文字" * 3, "e\u0301" * 9, "x\u0301\u0301 \u0301 \u0301a", "👨\u200d👩\u200d👧 ①\u0301",
]
FILES = ["CoLA/dev.tsv", "MRPC/train.tsv", "RTE/dev.tsv", "SST-2/dev.tsv", "STS-B/test.tsv"]
# Replacements like those of a language without accents, besides the removal of a character.
RULES = [("É", "E"), ("é", "e"), ("e\u0301", "e"), ("œ", "oe"), ("\u00ad", ""), ("\t", " "), ("’", "'"), ("\r", " ")]


def train(size, rules=None):
    """The bytes of a Unigram model of SentencePiece, with the rules of nmt_nfkc or with others."""
    more = {"normalization_rule_name": "nmt_nfkc"}
    if rules:
        with open("/tmp/rules.tsv", "w", encoding="utf-8") as f:
            for a, b in rules:
                f.write(" ".join(f"{ord(c):x}" for c in a) + "\t" + " ".join(f"{ord(c):x}" for c in b) + "\n")
        more = {"normalization_rule_tsv": "/tmp/rules.tsv"}
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(base.CORPUS), model_writer=out, vocab_size=size, model_type="unigram",
        character_coverage=0.99, hard_vocab_limit=False, num_threads=1, minloglevel=2, **more)
    return out.getvalue()


def from_model(name, cls, model):
    path = base.folder(name)
    with open(os.path.join(path, "sentencepiece.bpe.model"), "wb") as f:
        f.write(model)
    mask = {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "rstrip": False, "normalized": False,
            "single_word": False}
    base.write_json(os.path.join(path, "tokenizer_config.json"), {"tokenizer_class": cls.__name__, "mask_token": mask})
    return name, cls.from_pretrained(path).backend_tokenizer


def from_spec(name, spec):
    path = base.folder(name)
    base.write_json(os.path.join(path, "tokenizer.json"), spec)
    return name, Tokenizer.from_str(json.dumps(spec))


def variants():
    wide, narrow = train(320), train(260, RULES)
    _, xlmr = from_model("unigram-model", transformers.XLMRobertaTokenizer, wide)
    yield "unigram-model", xlmr
    name, camembert = from_model("unigram-camembert", transformers.CamembertTokenizer, narrow)
    yield name, camembert
    yield from_spec("unigram", json.loads(xlmr.to_str()))

    def classic(s):
        s["normalizer"] = {"type": "Sequence", "normalizers": [
            s["normalizer"], {"type": "Strip", "strip_left": False, "strip_right": True},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]}
        s["pre_tokenizer"] = s["pre_tokenizer"]["pretokenizers"][1]

    yield from_spec("unigram-classic", base.edit(camembert, classic))

    def fallback(s):
        classic(s)
        s["normalizer"] = None
        s["pre_tokenizer"].update(prepend_scheme="first", split=False)
        s["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"},
                                                          s["decoder"] | {"prepend_scheme": "first"}]}
        s["model"]["vocab"] += [[f"<0x{b:02X}>", -20.0] for b in range(256)]
        s["model"]["byte_fallback"] = True

    yield from_spec("unigram-bytes", base.edit(camembert, fallback))


def golden():
    singles = base.NASTY + TEXTS + base.random_texts(60, 11)
    base.write_json(os.path.join(base.DATA, "golden", "unigram.json"), {
        "versions": base.VERSIONS, "texts": singles, "pairs": base.PAIRS,
        "tokenizers": {name: base.record(t, singles) for name, t in variants()}})


def glue(data, out):
    t = Tokenizer.from_file(os.path.join(base.DATA, "unigram", "tokenizer.json"))
    digests = {}
    for file in FILES:
        with open(os.path.join(data, "glue", file), encoding="utf-8", newline="\n") as f:
            lines = f.read().split("\n")
        h = hashlib.sha256()
        for e in t.encode_batch(lines):
            h.update(struct.pack(f"<{len(e.ids) + 1}i", len(e.ids), *e.ids))
        digests[file] = h.hexdigest()
    base.write_json(out, digests)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--glue", metavar="DATA")
    p.add_argument("--out", metavar="F", default=os.path.join(base.DATA, "golden", "unigram_glue.json"))
    args = p.parse_args()
    if args.glue:
        glue(args.glue, args.out)
    else:
        golden()
