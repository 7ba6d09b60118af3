#!/usr/bin/env python3
"""Writes internal/metric/testdata/tags.json: entities and scores of tagged sentences, computed by seqeval 1.2.2.

Run from the repository root:  python scripts/golden_tags.py
"""
import json
import platform
import random
import warnings
from importlib.metadata import version

from seqeval.metrics import accuracy_score, classification_report, f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

warnings.filterwarnings("ignore")
IOB = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
IOBES = IOB + ["E-PER", "S-PER", "E-LOC", "S-LOC"]
HYPHENS = ["O", "B-a-b", "I-a-b", "B-c", "I-c"]
BARE = ["O", "B", "I", "E", "S"]


def case(name, labels, gold, pred):
    report = classification_report(gold, pred, output_dict=True)

    def number(row):
        return [float(report[row][k]) for k in ("precision", "recall", "f1-score")] + [int(report[row]["support"])]

    averages = {k: number(k + " avg") for k in ("micro", "macro", "weighted")}
    types = {k: number(k) for k in report if not k.endswith(" avg")}
    return {"name": name, "labels": labels, "gold": gold, "pred": pred,
            "gold_entities": [[[t, a, b + 1] for t, a, b in get_entities(s)] for s in gold],
            "pred_entities": [[[t, a, b + 1] for t, a, b in get_entities(s)] for s in pred],
            "precision": float(precision_score(gold, pred)), "recall": float(recall_score(gold, pred)),
            "f1": float(f1_score(gold, pred)), "accuracy": float(accuracy_score(gold, pred)),
            "types": types, **averages}


def main():
    rng, cases = random.Random(7), []
    for name, labels in {"iob": IOB, "iobes": IOBES, "hyphens": HYPHENS, "bare": BARE}.items():
        for n in (1, 3, 25):
            gold = [[rng.choice(labels) for _ in range(rng.randint(1, 9))] for _ in range(n)]
            if not any(get_entities(s) for s in gold):
                gold[0][0] = labels[1]
            pred = [[t if rng.random() < 0.7 else rng.choice(labels) for t in s] for s in gold]
            cases.append(case(f"{name}/n={n}", labels, gold, pred))
    cases += [
        case("inside_after_outside", IOB, [["O", "I-PER", "I-PER", "O"]], [["O", "B-PER", "I-PER", "O"]]),
        case("type_switch", IOB, [["B-PER", "I-LOC", "I-PER"]], [["B-PER", "I-PER", "I-PER"]]),
        case("adjacent", IOB, [["B-PER", "B-PER", "I-PER"]], [["B-PER", "I-PER", "I-PER"]]),
        case("begins_inside", IOB, [["I-PER", "I-LOC"], ["I-LOC"]], [["B-PER", "B-LOC"], ["I-LOC"]]),
        case("bounds_of_sentences", IOB, [["B-PER"], ["I-PER"]], [["B-PER"], ["I-PER"]]),
        case("end_then_inside", IOBES, [["B-PER", "E-PER", "I-PER", "E-PER", "E-PER"]],
             [["B-PER", "I-PER", "I-PER", "I-PER", "E-PER"]]),
        case("single_then_inside", IOBES, [["S-LOC", "I-LOC", "S-LOC", "E-LOC"]],
             [["S-LOC", "S-LOC", "B-LOC", "E-LOC"]]),
        case("nothing_predicted", IOB, [["B-PER", "I-PER", "O"]], [["O", "O", "O"]]),
        case("nothing_right", IOB, [["B-PER", "I-PER", "O"]], [["B-LOC", "O", "B-PER"]]),
        case("one_token_short", IOB, [["B-PER", "I-PER", "I-PER"]], [["B-PER", "I-PER", "O"]]),
        case("other_type_of_bounds", IOB, [["B-PER", "I-PER"]], [["B-LOC", "I-LOC"]]),
    ]
    with open("internal/metric/testdata/tags.json", "w") as f:
        lines = ",\n".join("  " + json.dumps(c, separators=(",", ":")) for c in cases)
        versions = {"python": platform.python_version(), "seqeval": version("seqeval"),
                    "scikit-learn": version("scikit-learn")}
        f.write('{"script": "scripts/golden_tags.py",\n "versions": %s,\n "cases": [\n%s]}\n' % (json.dumps(versions), lines))


if __name__ == "__main__":
    main()
