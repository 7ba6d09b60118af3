package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// Generate returns the files by name: NOTICE with one line for each module and
// part, and THIRD_PARTY_LICENSES with the texts. dir is the root of the repository.
func Generate(dir string) (map[string][]byte, error) {
	modules, err := linkedModules(dir)
	if err != nil {
		return nil, err
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	for _, m := range modules {
		ids, err := m.licences()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", m.Path, m.Version, strings.Join(ids, ", "))
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	texts, err := licenceTexts(modules)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"NOTICE":               []byte(header + table.String() + parts),
		"THIRD_PARTY_LICENSES": texts,
	}, nil
}

const header = `lor2c
Copyright 2026 The lor2c authors

Licensed under the Apache License, Version 2.0; the file LICENSE has its text.
This file and THIRD_PARTY_LICENSES are written by ` + "`make notices`" + `.

Go modules linked into the binaries of at least one platform, with the licences
(SPDX identifiers) of the packages used. THIRD_PARTY_LICENSES has their texts.

`

// parts lists what a binary contains besides Go modules.
const parts = `
Other parts:

The Go standard library and runtime, in every binary: BSD-3-Clause, Copyright
2009 The Go Authors, the text of golang.org/x/sys.

CUDA kernels, in the binary for linux/amd64: lor2c's own source, compiled by
NVIDIA's nvcc. The compiled code contains functions of NVIDIA's libdevice and of
the toolkit's headers, which the CUDA Toolkit End User License Agreement
(Attachment A) allows to be distributed inside an application. Nothing else of
the toolkit is contained: the driver library libcuda.so.1 is opened at run time,
and internal/gpu/culazy/include/cuda.h states the names, types and values of its
binary interface without text of NVIDIA's.

Assembly for amd64, internal/sgemm and internal/vector: lor2c's own. The module
github.com/mmcloughlin/avo (BSD-3-Clause) prints it from the folders asm there
and is not linked.

OpenBLAS, BSD-3-Clause: not in releases, which do not need it. A build with the
tag openblas links the library of the machine it is made on.

demo/data and demo/model, in the repository and not in releases: example
sentences of WordNet 3.0, Copyright 2006 by Princeton University, and an encoder
trained on WordNet's text. LICENSE-WordNet.txt in both folders has the terms.

demo/decoder, in the repository and not in releases: stories260K of
karpathy/tinyllamas, MIT License, Copyright (c) 2023 Andrej. LICENSE in the
folder has the terms.
`

// licenceTexts returns the text of every licence file once, below the modules
// that have it.
func licenceTexts(modules []*module) ([]byte, error) {
	type entry struct {
		users []string
		text  []byte
	}
	var order []*entry
	byText := map[[sha256.Size]byte]*entry{}
	for _, m := range modules {
		for _, name := range m.files {
			text, err := os.ReadFile(filepath.Join(m.Dir, filepath.FromSlash(name)))
			if err != nil {
				return nil, err
			}
			text = append(bytes.TrimRight(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), " \t\n"), '\n')
			key := sha256.Sum256(text)
			if byText[key] == nil {
				byText[key] = &entry{text: text}
				order = append(order, byText[key])
			}
			e := byText[key]
			e.users = append(e.users, fmt.Sprintf("%s %s: %s", m.Path, m.Version, name))
		}
	}
	var out bytes.Buffer
	for i, e := range order {
		if i > 0 {
			out.WriteByte('\n')
		}
		rule := strings.Repeat("=", 79) + "\n"
		out.WriteString(rule + strings.Join(e.users, "\n") + "\n" + rule + "\n")
		out.Write(e.text)
	}
	return out.Bytes(), nil
}
