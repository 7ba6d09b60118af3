package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/licensecheck"
)

const root = "../.."

// TestUpToDate: the committed files are those of the modules that are linked
// now. The test also fails if a module has no licence, or one that is not
// accepted.
func TestUpToDate(t *testing.T) {
	files, err := Generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is out of date; run `make notices`", name)
		}
	}
}

func TestOwnLicence(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	scan := licensecheck.Scan(text)
	if len(scan.Match) != 1 || scan.Match[0].ID != "Apache-2.0" || scan.Percent < 99 {
		t.Errorf("LICENSE holds %v, %.0f %% of it; want the whole text of Apache-2.0", scan.Match, scan.Percent)
	}
}

func TestLicenceFaults(t *testing.T) {
	gpl := "This program is free software: you can redistribute it and/or modify it under the terms of the GNU General " +
		"Public License as published by the Free Software Foundation, either version 3 of the License, or (at your option) " +
		"any later version.\n"
	for name, c := range map[string]struct{ file, text, want string }{
		"licence=none":         {"", "", "no licence file"},
		"licence=unknown":      {"LICENSE", "You may use this on Tuesdays.", "0 % of it is the text of a known licence"},
		"licence=not-accepted": {"LICENSE", gpl, "licence GPL-3.0-or-later is not in the list of accepted ones"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &module{Path: "example.org/m", Version: "v1.0.0", Dir: t.TempDir()}
			if c.file != "" {
				if err := os.WriteFile(filepath.Join(m.Dir, c.file), []byte(c.text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.addFiles(m.Dir); err != nil {
				t.Fatal(err)
			}
			if ids, err := m.licences(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("licences %v, error %v; want one with %q", ids, err, c.want)
			}
		})
	}
}
