#!/usr/bin/env python3
"""Writes internal/tokenizer/testdata/golden/words.json: what transformers gives for texts that are lists of words.

    python scripts/golden_words.py

The tokenizers are those of scripts/golden_tokenizer.py and scripts/golden_unigram.py, loaded as the token
classification example of transformers loads them. starts has the index of the first token of each word, -1 for none.
"""
import os

import golden_tokenizer as base
import transformers

CLASSES = {
    "bpe": transformers.RobertaTokenizerFast, "bpe-files": transformers.RobertaTokenizerFast,
    "bpe-prefix": transformers.RobertaTokenizerFast, "wordpiece": transformers.BertTokenizerFast,
    "wordpiece-files": transformers.BertTokenizerFast, "wordpiece-cased": transformers.BertTokenizerFast,
    "mpnet": transformers.MPNetTokenizer, "mpnet-files": transformers.MPNetTokenizer,
    "unigram": transformers.XLMRobertaTokenizer, "unigram-model": transformers.XLMRobertaTokenizer,
    "unigram-camembert": transformers.CamembertTokenizer,
}
SENTENCES = [text.split(" ") for text in base.CORPUS[:9]] + [
    ["EU", "rejects", "German", "call", "to", "boycott", "British", "lamb", "."], ["a"], ["", "a", "", "b"],
    ["New York", " padded ", "tab\there", "\u00a0", "\u200b", "a\u200bb"],
    ["don't", "is", "n't", "'s", "U.S.", "1,234.5"],
    ["<mask>", "a<mask>", "<s>", "</s>", "[SEP]", "[CLS]x", "[MASK]"],
    ["café", "cafe\u0301", "Zürich", "日本語", "😀", "русские"],
    ["word"] * 30,
]


def record(tokenizer, words, limit):
    cut = {"truncation": True, "max_length": limit} if limit else {}
    e = tokenizer(words, is_split_into_words=True, **cut)
    of = e.word_ids()
    return {"ids": e["input_ids"], "starts": [of.index(i) if i in of else -1 for i in range(len(words))]}


def main():
    out = {}
    for name, cls in CLASSES.items():
        options = {"add_prefix_space": True} if cls is transformers.RobertaTokenizerFast else {}
        t = cls.from_pretrained(os.path.join(base.DATA, name), **options)
        out[name] = [record(t, words, 0) | {"cut": record(t, words, 7)} for words in SENTENCES]
    base.write_json(os.path.join(base.DATA, "golden", "words.json"),
                    {"versions": base.VERSIONS, "sentences": SENTENCES, "tokenizers": out})


if __name__ == "__main__":
    main()
