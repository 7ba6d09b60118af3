"""Write internal/metric/testdata/golden.json: the metrics on random and degenerate
inputs, and scores by class, computed by scikit-learn and scipy.

Run from the repository root:  python scripts/golden_metric.py
"""

import json
import math
import platform
import warnings
from fractions import Fraction

import numpy as np
import scipy
import sklearn
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (accuracy_score, confusion_matrix, f1_score, matthews_corrcoef,
                             precision_recall_fscore_support)

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20240607)


def number(x):
    """x, or None (null) for NaN, which JSON lacks."""
    return None if math.isnan(x) else float(x)


def class_case(name, pred, gold):
    pred, gold = [int(v) for v in pred], [int(v) for v in gold]
    case = {"name": name, "pred": pred, "gold": gold,
            "accuracy": number(accuracy_score(gold, pred)),
            "matthews": number(matthews_corrcoef(gold, pred))}
    # This is F1 of class 1, which for two classes is the usual binary F1.
    ones = ([int(v == 1) for v in gold], [int(v == 1) for v in pred])
    case["f1"] = number(f1_score(*ones, zero_division=0))
    case["f1_macro"] = number(f1_score(gold, pred, average="macro"))
    for average in ("macro", "weighted"):
        case[average] = [number(x) for x in precision_recall_fscore_support(gold, pred, average=average)[:3]]
    k = case["k"] = max(pred + gold) + 1
    each = precision_recall_fscore_support(gold, pred, labels=range(k), zero_division=np.nan)
    case["precision"], case["recall"], case["f"] = [[number(x) for x in part] for part in each[:3]]
    case["support"] = [int(x) for x in each[3]]
    case["confusion"] = confusion_matrix(gold, pred, labels=range(k)).tolist()
    return case


def set_case(name, pred, gold):
    """Sets of labels as indicator matrices [examples, labels]."""
    case = {"name": name, "pred": pred.astype(int).tolist(), "gold": gold.astype(int).tolist(),
            "f1_micro": number(f1_score(gold, pred, average="micro", zero_division=0)),
            "f1_macro": number(f1_score(gold, pred, average="macro", zero_division=0)),
            "subset_accuracy": number(accuracy_score(gold, pred))}
    for average in ("micro", "macro", "weighted"):
        case[average] = [number(x) for x in
                         precision_recall_fscore_support(gold, pred, average=average, zero_division=0)[:3]]
    return case


def value_case(name, pred, gold, exact=False):
    pred, gold = [float(v) for v in pred], [float(v) for v in gold]
    r = exact_pearson(pred, gold) if exact else pearsonr(pred, gold).statistic
    return {"name": name, "pred": pred, "gold": gold, "pearson": number(r),
            "spearman": number(spearmanr(pred, gold).statistic)}


def exact_pearson(x, y):
    """Correlation from rational sums, rounded once, for inputs that are nearly constant, where
    scipy's own answer is only good to a few digits (it warns)."""
    x, y = [Fraction(v) for v in x], [Fraction(v) for v in y]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    sxy = sum((a - mx) * (b - my) for a, b in zip(x, y))
    sxx, syy = sum((a - mx) ** 2 for a in x), sum((b - my) ** 2 for b in y)
    return math.copysign(math.sqrt(float(sxy * sxy / (sxx * syy))), float(sxy))


classes, values = [], []
for n in (1, 2, 3, 7, 40, 300):
    for k in (2, 3, 5):
        for rep in range(3):
            gold = rng.integers(0, k, n)
            pred = np.where(rng.random(n) < 0.6, gold, rng.integers(0, k, n))
            classes.append(class_case(f"n={n}/k={k}/rep={rep}", pred, gold))
z, o = [0] * 9, [1] * 9
mixed = [0, 1, 1, 0, 1, 0, 0, 1, 1]
for name, p, g in (("all_right_zero", z, z), ("all_right_one", o, o), ("all_wrong", z, o),
                   ("constant_pred", z, mixed), ("constant_pred_one", o, mixed),
                   ("constant_gold", mixed, z), ("inverted", [1 - v for v in mixed], mixed),
                   ("perfect", mixed, mixed), ("rare", [0] * 499 + [1], [0] * 498 + [1, 1])):
    classes.append(class_case(name, p, g))

for n in (2, 3, 5, 20, 250):
    for rep in range(4):
        gold = rng.random(n) * 5
        values.append(value_case(f"n={n}/rep={rep}", gold + rng.normal(0, 1 + rep, n), gold))
for n in (6, 30, 200):
    for levels in (2, 4, 11):
        gold = np.round(rng.random(n) * (levels - 1)) * 5 / (levels - 1)
        gold[:2] = 0, 5
        pred = np.round(gold + rng.normal(0, 1, n))
        pred[:2] = -1, 7
        values.append(value_case(f"ties/n={n}/levels={levels}", pred, gold))
line = [0.0, 1.5, 2.5, 4.75]
for name, p, g in (("constant_pred", [2.5] * 4, line), ("constant_gold", line, [3.0] * 4),
                   ("constant_both", [1.0] * 4, [1.0] * 4), ("linear", [3 * v - 7 for v in line], line),
                   ("anti", [-v for v in line], line), ("monotone", [math.exp(v) for v in line], line),
                   ("two_down", [0.3, 0.1], [1.1, 4.3]), ("tiny", [v * 1e-30 for v in line], line),
                   ("huge", [v * 1e30 for v in line], line), ("offset", [v + 1e4 for v in line], line)):
    values.append(value_case(name, p, g))
base = rng.random(50) * 5
values.append(value_case("nearly_constant", 1 + 1e-11 * (base + rng.normal(0, 1, 50)), base, exact=True))

sets = []
for n in (1, 4, 60):
    for k in (2, 3, 9):
        gold = rng.random((n, k)) < 0.3
        sets.append(set_case(f"n={n}/k={k}", gold ^ (rng.random((n, k)) < 0.2), gold))
blank = np.zeros((5, 3), bool)
full = ~blank
for name, p, g in (("blank", blank, blank), ("all", full, full), ("none_predicted", blank, full),
                   ("none_true", full, blank)):
    sets.append(set_case(name, p, g))

with open("internal/metric/testdata/golden.json", "w") as f:
    versions = {"python": platform.python_version(), "sklearn": sklearn.__version__,
                "scipy": scipy.__version__, "numpy": np.__version__}
    # Each case is on its own line, so that changes of the file can be reviewed.
    cases = lambda items: ",\n".join("  " + json.dumps(c, separators=(",", ":")) for c in items)
    f.write('{"script": "scripts/golden_metric.py",\n "versions": %s,\n' % json.dumps(versions))
    f.write(' "classes": [\n%s],\n "values": [\n%s],\n' % (cases(classes), cases(values)))
    f.write(' "sets": [\n%s]}\n' % cases(sets))
