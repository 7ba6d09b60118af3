package kernels

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// packed returns an archive of files whose content is their name.
func packed(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(name))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestChoose(t *testing.T) {
	all := "sm_80 sm_86 sm_89 sm_90a sm_100 sm_120 compute_80"
	for _, c := range []struct {
		targets      string
		major, minor int
		order, want  string
	}{
		{all, 8, 0, "sm_80 compute_80", "sm_80"},
		{all, 8, 6, "sm_86 sm_80 compute_80", "sm_86"},
		{all, 8, 7, "sm_86 sm_80 compute_80", "sm_86"},
		{all, 8, 9, "sm_89 sm_86 sm_80 compute_80", "sm_89"},
		{all, 9, 0, "sm_90a compute_80", "sm_90a"},
		{all, 9, 1, "compute_80", "compute_80, compiled by"},
		{all, 10, 0, "sm_100 compute_80", "sm_100"},
		{all, 10, 3, "sm_100 compute_80", "sm_100"},
		{all, 11, 0, "compute_80", "compute_80, compiled by"},
		{all, 12, 0, "sm_120 compute_80", "sm_120"},
		{all, 12, 1, "sm_120 compute_80", "sm_120"},
		{all, 7, 5, "", "none of [sm_80"},
		{"sm_90a", 9, 1, "", "none of"},
		{"", 9, 0, "", "none: this binary was built without"},
	} {
		t.Run(fmt.Sprintf("capability=%d.%d/targets=%d", c.major, c.minor, len(strings.Fields(c.targets))),
			func(t *testing.T) {
				targets := strings.Fields(c.targets)
				if got := strings.Join(choose(targets, c.major, c.minor), " "); got != c.order {
					t.Errorf("order %q; want %q", got, c.order)
				}
				if got, ok := describe(targets, c.major, c.minor); !strings.HasPrefix(got, c.want) || ok != (c.order != "") {
					t.Errorf("described as %q, %v; want %q, %v", got, ok, c.want, c.order != "")
				}
			})
	}
}

func TestRead(t *testing.T) {
	whole := packed(t, "sm_80/norm.cubin", "sm_80/loss.cubin")
	images, err := read("sm_80", whole)
	if err != nil || len(images) != 2 || string(images[1]) != "sm_80/loss.cubin" {
		t.Errorf("read %q, %v", images, err)
	}
	if _, err := read("sm_80", whole[:len(whole)-9]); err == nil {
		t.Error("an archive without its end was read")
	}
	if _, err := read("sm_80", []byte("text")); err == nil {
		t.Error("text was read")
	}
	if _, err := read("sm_86", whole); err == nil || !strings.Contains(err.Error(), "target sm_80") {
		t.Errorf("an archive of another target: %v; want an error that names it", err)
	}
	if _, err := Images("sm_1"); err == nil {
		t.Error("a target that is not embedded was unpacked")
	}
}

// TestEmbedded: every target has the same kernels.
func TestEmbedded(t *testing.T) {
	all := Targets()
	if all == nil {
		t.Skip("the kernels are not compiled")
	}
	var first []string
	for _, target := range all {
		images, err := Images(target)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, image := range images {
			names = append(names, entries(t, target, image)...)
		}
		slices.Sort(names)
		if once := slices.Compact(slices.Clone(names)); len(once) != len(names) {
			t.Errorf("%s: a kernel occurs twice among %v", target, names)
		}
		if first == nil {
			first = names
		}
		if len(names) == 0 || !slices.Equal(names, first) {
			t.Errorf("%s has %d kernels, %v; want the %d of %s", target, len(names), names, len(first), all[0])
		}
	}
}

var entry = regexp.MustCompile(`(?m)^\.visible \.entry (\w+)\(`)

// entries returns the names of the kernels in an image.
func entries(t *testing.T, target string, image []byte) (names []string) {
	t.Helper()
	if _, _, machine := parse(target); !machine {
		for _, m := range entry.FindAllSubmatch(image, -1) {
			names = append(names, string(m[1]))
		}
		return names
	}
	// CUDA writes its own version where ELF has 1.
	image = slices.Clone(image)
	copy(image[20:24], []byte{1, 0, 0, 0})
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && elf.ST_BIND(s.Info) == elf.STB_GLOBAL {
			names = append(names, s.Name)
		}
	}
	return names
}
