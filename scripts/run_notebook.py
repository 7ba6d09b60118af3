#!/usr/bin/env python3
"""Executes a notebook in a new folder and fails if one of its cells does.

    python scripts/run_notebook.py docs/notebooks/csv-to-figure.ipynb [--keep DIR]

The folder has links to demo and configs of the repository, in whose root the command runs. lor2c must be in PATH. The
notebook itself is not changed: notebooks are committed without outputs. --keep copies what the cells wrote to DIR, with
the executed notebook.
"""
import argparse
import pathlib
import shutil
import sys
import tempfile

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def main():
    parser = argparse.ArgumentParser(description="execute a notebook")
    parser.add_argument("notebook", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path, help="folder to copy the results to, which must not exist")
    args = parser.parse_args()
    notebook = nbformat.read(args.notebook, as_version=4)
    nbformat.validate(notebook)
    if any(cell.get("outputs") for cell in notebook.cells):
        sys.exit(f"{args.notebook}: has outputs; clear them before it is committed")
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "demo").symlink_to(pathlib.Path("demo").resolve())
        try:
            NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
        except CellExecutionError as error:
            sys.exit(f"{args.notebook}: {error}")
        nbformat.write(notebook, pathlib.Path(folder, args.notebook.name))
        pictures = sorted(path.name for path in pathlib.Path(folder).glob("*.png"))
        print(f"{args.notebook}: {len(notebook.cells)} cells, which wrote {', '.join(pictures) or 'no picture'}")
        if args.keep:
            shutil.copytree(folder, args.keep, ignore=shutil.ignore_patterns("demo"))


if __name__ == "__main__":
    main()
