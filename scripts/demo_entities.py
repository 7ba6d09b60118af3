#!/usr/bin/env python3
"""Make the demo's tagged sentences: people, places and firms in sentences of a few forms.

    python scripts/demo_entities.py [--out demo/data]

All names and sentences were made up for this purpose. The names of the dev split are not in the train split. Only the
standard library is used; the output is the same byte for byte in every run.
"""
import argparse
import pathlib
import random

# For each type of entity, the names of train and those of dev, made of the same kinds of parts.
NAMES = {
    "PER": (["Mara Olsen", "Tom Baker", "Ina Weber", "Jon Hale", "Rosa Martin", "Paul Stone", "Lena Fisher",
             "Max Field", "Nora Young", "Sam Carter", "Eva Miller", "Adam Reed"],
            ["Mara Baker", "Tom Weber", "Rosa Hale", "Paul Carter", "Lena Young", "Adam Olsen"]),
    "LOC": (["North Harbour", "Red Valley", "Green Hill", "Stone River", "East Bay", "Silver Lake", "Long Island",
             "Sand Port", "White Cliff", "Old Bridge"],
            ["North Valley", "Red Hill", "Green Bay", "Silver River", "White Harbour"]),
    "ORG": (["Bright Mills Ltd", "Grand Foods Inc", "West Steel Ltd", "Sun Paper Inc", "Blue Glass Ltd",
             "True Motors Inc", "Fair Books Ltd", "Swift Rail Inc"],
            ["Bright Foods Inc", "West Paper Ltd", "Blue Motors Inc", "Swift Books Ltd"]),
}
FORMS = [
    "{PER} moved from {LOC} to {LOC} last year .", "{PER} works for {ORG} in {LOC} .",
    "{ORG} bought a mill near {LOC} .",
    "the old road to {LOC} was closed by snow .", "{PER} and {PER} met at the station .",
    "he left {ORG} after ten years .", "in {LOC} , {ORG} sells bread and milk .",
    "the chief of {ORG} , {PER} , was born in {LOC} .",
    "nobody knew where the two brothers lived .", "{PER} said that the water was cold .",
    "a boat from {LOC} came at night .",
    "{ORG} and {ORG} share one house .", "the teacher gave the books to {PER} .", "it rained for three days .",
    "she wrote a letter to {ORG} .", "people in {LOC} know {PER} well .",
]
SIZES = {"train": 240, "dev": 60}


def sentence(rng, part):
    lines = []
    for word in rng.choice(FORMS).split():
        kind = word.strip("{}")
        if kind in NAMES:
            for i, token in enumerate(rng.choice(NAMES[kind][part]).split()):
                lines.append(f"{token} {'I' if i else 'B'}-{kind}\n")
        else:
            lines.append(f"{word} O\n")
    return "".join(lines)


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="write the demo's tagged sentences")
    parser.add_argument("--out", type=pathlib.Path, default=root / "demo" / "data")
    out = parser.parse_args().out
    made = set()
    for part, (split, size) in enumerate(SIZES.items()):
        rng, sentences = random.Random(split), []
        while len(sentences) < size:
            one = sentence(rng, part)
            if one not in made:
                sentences.append(one)
            made.add(one)
        text = "-DOCSTART- O\n\n" + "\n".join(sentences)
        (out / f"entities-{split}.conll").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
