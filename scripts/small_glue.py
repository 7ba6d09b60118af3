"""Cut GLUE tasks to the sizes that users have, for docs/defaults.md.

python scripts/small_glue.py --data data/glue --out runs/small-glue --tasks SST-2,CoLA,MRPC,STS-B --rows 300,1000,3000

Each OUT/TASK-ROWS holds train.tsv with the first ROWS rows of one permutation of the task's training split, so
that a smaller set is a part of each larger one, and dev.tsv with DEV rows of the task's dev split.
"""

import argparse
import pathlib
import random

# CoLA is the only task of GLUE whose files have no header.
NO_HEADER = {"CoLA"}


def rows(path, header):
    lines = path.read_text(encoding="utf-8").splitlines()
    return (lines[:1], lines[1:]) if header else ([], lines)


def cut(path, out, header, count):
    head, body = rows(path, header)
    body = list(body)
    random.Random(1).shuffle(body)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(head + body[:count]) + "\n", encoding="utf-8")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, required=True)
    p.add_argument("--out", type=pathlib.Path, required=True)
    p.add_argument("--tasks", default="SST-2,CoLA,MRPC,STS-B")
    p.add_argument("--rows", default="300,1000,3000")
    p.add_argument("--dev", type=int, default=300, help="rows of the dev split that are kept")
    a = p.parse_args()
    for task in a.tasks.split(","):
        for count in map(int, a.rows.split(",")):
            to = a.out / f"{task}-{count}"
            cut(a.data / task / "train.tsv", to / "train.tsv", task not in NO_HEADER, count)
            cut(a.data / task / "dev.tsv", to / "dev.tsv", task not in NO_HEADER, a.dev)


if __name__ == "__main__":
    main()
