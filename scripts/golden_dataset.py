"""Write the parquet fixtures of internal/dataset, in the form the Hugging Face
hub keeps GLUE in, and golden epoch orders.

Run from the repository root:  python scripts/golden_dataset.py
"""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq

HUB = "internal/dataset/testdata/hub/"
BAD = "internal/dataset/testdata/bad/hub_"


def write(path, columns, label_type=pa.int64(), names=None, **options):
    arrays = {}
    for name, values in columns.items():
        kind = {"label": label_type, "idx": pa.int32()}.get(name, pa.string())
        arrays[name] = pa.array(values, kind)
    table = pa.table(arrays)
    if names:
        # This is what the `datasets` library stores for a ClassLabel column.
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})})
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pq.write_table(table, path, **options)


def shard(stem, i=0, n=1):
    return f"/{stem}-{i:05d}-of-{n:05d}.parquet"


def pair(first, second, a, b, label):
    return {first: a, second: b, "label": label, "idx": list(range(len(label)))}


def fixtures():
    single = lambda texts, label: {"sentence": texts, "label": label, "idx": list(range(len(label)))}
    for task in ("cola", "sst2"):
        write(HUB + task + shard("train"), single(["Fine so far.", "So fine far."], [1, 0]),
              names=["negative", "positive"], compression="snappy")
        write(HUB + task + shard("validation"), single(["Go on."], [1]), compression="zstd")
        write(HUB + task + shard("test"), single(["Café."], [-1]), compression="none")
    # These are two shards with several row groups and with repeated texts, which are
    # stored in a dictionary.
    texts = [f"Sentence {i % 7}." for i in range(30)]
    for i in range(2):
        part = slice(15 * i, 15 * i + 15)
        labels = [j % 2 for j in range(30)][part]
        write(HUB + "mrpc" + shard("train", i, 2), pair("sentence1", "sentence2", texts[part], texts[part][::-1],
                                                        labels),
              row_group_size=4, data_page_version="2.0")
    for task, first, second in (("rte", "sentence1", "sentence2"), ("wnli", "sentence1", "sentence2"),
                                ("qnli", "question", "sentence"), ("qqp", "question1", "question2")):
        write(HUB + task + shard("train"), pair(first, second, ["A?", "C?"], ["B.", "D."], [0, 1]),
              names=["entailment", "not_entailment"])
    order = ["entailment", "neutral", "contradiction"]
    for stem, label in (("train", [0, 1, 2]), ("validation_matched", [2]), ("validation_mismatched", [1]),
                        ("test_matched", [-1]), ("test_mismatched", [-1, -1])):
        n = len(label)
        write(HUB + "mnli" + shard(stem), pair("premise", "hypothesis", ["P."] * n, ["H."] * n, label), names=order)
    write(HUB + "stsb" + shard("train"), pair("sentence1", "sentence2", ["A", "C"], ["B", "D"], [0.0, 4.6]),
          pa.float32())
    write(HUB + "stsb/validation.parquet", pair("sentence1", "sentence2", ["A"], ["B"], [2.5]), pa.float64())
    write(HUB + "stsb" + shard("test"), pair("sentence1", "sentence2", ["A"], ["B"], [-1.0]), pa.float32())

    write(BAD + "label" + shard("train"), single(["a", "b"], [1, 2]))
    write(BAD + "type" + shard("train"), single(["a"], ["yes"]), pa.string())
    write(BAD + "unlabelled" + shard("train"), single(["a", "b", "c"], [1, 0, -1]))
    write(BAD + "null" + shard("train"), single(["a", None], [1, 0]))
    write(BAD + "column" + shard("train"), {"sentences": ["a"], "label": [1]})
    write(BAD + "score" + shard("train"), pair("sentence1", "sentence2", ["a"], ["b"], [5.5]), pa.float32())
    write(BAD + "rows" + shard("train"), single([], []))
    write(BAD + "shards" + shard("train", 0, 2), single(["a"], [1]))
    write(BAD + "names" + shard("train"), pair("premise", "hypothesis", ["a"], ["b"], [1]),
          names=["contradiction", "entailment", "neutral"])
    latin = pa.table({"sentence": pa.array([b"caf\xe9"], pa.binary()), "label": [1]})
    os.makedirs(BAD + "latin1", exist_ok=True)
    pq.write_table(latin, BAD + "latin1" + shard("train"))
    os.makedirs(BAD + "damaged", exist_ok=True)
    with open(BAD + "damaged" + shard("train"), "wb") as f:
        f.write(b"PAR1 this is not a footer PAR1")


def codecs():
    """The same 60 rows under every codec, in both versions of data pages, with
    and without dictionaries; and what must be refused for its size."""
    texts = [f"Sentence {i % 11} of {i} has its own words: {'tea ' * (i % 5)}and café." for i in range(60)]
    rows = {"sentence": texts, "label": [i % 2 for i in range(60)]}
    for codec in ("none", "snappy", "gzip", "zstd", "brotli", "lz4"):
        for version in ("1.0", "2.0"):
            write(f"internal/dataset/testdata/codecs/{codec}-v{version[0]}.parquet", rows, compression=codec,
                  data_page_version=version, use_dictionary=version == "1.0", row_group_size=40, data_page_size=512)
    bombs = "internal/dataset/testdata/bad/hub_"
    write(bombs + "one_text" + shard("train"), {"sentence": ["a" * (2 << 20)], "label": [1]}, compression="zstd")
    write(bombs + "repeated" + shard("train"), {"sentence": ["a" * 1_000_000] * 4000, "label": [1] * 4000},
          compression="zstd")
    write(bombs + "many_rows" + shard("train"), {"sentence": [""] * 3_000_000, "label": [1] * 3_000_000},
          compression="zstd", write_statistics=False)


MASK64, MASK128 = (1 << 64) - 1, (1 << 128) - 1


def pcg_dxsm(hi, lo):
    """PCG-DXSM (O'Neill 2014; the DXSM output of numpy's PCG64DXSM) with the
    128-bit multiplier and increment of PCG64."""
    state = hi << 64 | lo
    multiplier = 0x2360ED051FC65DA44385DF649FCCF645
    increment = 0x5851F42D4C957F2D14057B7EF767814F
    while True:
        state = (state * multiplier + increment) & MASK128
        high, low = state >> 64, (state & MASK64) | 1
        high ^= high >> 32
        high = high * 0xDA942042E4DD58B5 & MASK64
        high ^= high >> 48
        yield high * low & MASK64


def order(seed, epoch, n):
    words, places = pcg_dxsm(seed, epoch), list(range(n))
    for i in range(n - 1, 0, -1):
        j = next(words) * (i + 1) >> 64
        places[i], places[j] = places[j], places[i]
    return places


if __name__ == "__main__":
    fixtures()
    codecs()
    cases = [{"seed": s, "epoch": e, "n": n, "order": order(s, e, n)}
             for s, e, n in ((17, 0, 10), (17, 1, 10), (18, 0, 10), (0, 0, 100), (2**64 - 1, 79, 33), (1, 2, 1))]
    with open("internal/dataset/testdata/order.json", "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
