package benchmark

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write release.txt from the files in LOR2C_SHARED")

// TestRelease compares release.txt with the released files, or writes it with -update.
func TestRelease(t *testing.T) {
	shared := os.Getenv("LOR2C_SHARED")
	if shared == "" {
		t.Skip("LOR2C_SHARED is not set; it names a folder with data/eval")
	}
	eval := filepath.Join(shared, "data", "eval")
	lines := map[string]released{}
	put := func(name string, r released, err error) {
		if err != nil {
			t.Fatal(err)
		}
		lines[name] = r
	}
	mmlu, err := locateMMLU(eval)
	if err != nil {
		t.Fatal(err)
	}
	for subject := range mmluAreas {
		for _, split := range []string{"dev", "test"} {
			rows, err := mmluRows(filepath.Join(mmlu, split, subject+"_"+split+".csv"))
			if err != nil {
				t.Fatal(err)
			}
			r, err := digest(rows)
			put("mmlu/"+split+"/"+subject, r, err)
		}
	}
	bbh, err := locateBBH(eval)
	if err != nil {
		t.Fatal(err)
	}
	paths, _ := filepath.Glob(filepath.Join(bbh, "*.json"))
	for _, path := range paths {
		rows, err := bbhRows(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := digest(rows)
		put("bbh/"+stem(path, ".json"), r, err)
	}
	drop, err := locateDROP(eval)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := dropSimpleEvals(drop)
	if err != nil {
		t.Fatal(err)
	}
	r, err := digest(rows)
	put("drop/simple-evals", r, err)
	path, err := locateHumanEval(eval)
	if err != nil {
		t.Fatal(err)
	}
	problems, err := humanEvalRows(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err = digest(problems)
	put("humaneval", r, err)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintln(&b, name, lines[name].sum, lines[name].rows)
	}
	if *update {
		if err := os.WriteFile("release.txt", []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if b.String() != releaseText {
		t.Error("release.txt is not that of the files; go test -run Release -update writes it")
	}
}

// TestCheckRelease: the first row that differs, a file that ends early and one that goes on are told apart.
func TestCheckRelease(t *testing.T) {
	rows := [][]string{{"a", "b"}, {"c"}, {"d"}}
	r, err := digest(rows)
	if err != nil {
		t.Fatal(err)
	}
	releases["test/rows"] = r
	defer delete(releases, "test/rows")
	for want, got := range map[string][][]string{
		"":                                    rows,
		"f: row 2 is not that of the release": {{"a", "b"}, {"C"}, {"d"}},
		"f: it ends after row 2 of 3":         rows[:2],
		"f: it has 4 rows and differs from the released file, which has 3": append(slices.Clone(rows), []string{"e"}),
	} {
		err := checkRelease("test/rows", "f", got)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %s", err, want)
		}
	}
	if err := checkRelease("test/none", "f", rows); err == nil || !strings.Contains(err.Error(), "has no such file") {
		t.Errorf("error %v", err)
	}
}
