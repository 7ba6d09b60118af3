// Package kernels contains the compiled kernels that are embedded in the
// binary.
//
// A source file becomes one cubin for each target and one text of PTX. They are
// embedded separately and not as a fat binary, so that this program chooses
// which code to load, and can use other code if the driver refuses it.
package kernels

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed build
var build embed.FS

// Code is all kernels for one target.
type Code struct {
	Target string   // sm_90a for machine code, compute_80 for PTX
	Images [][]byte // one cubin or text of PTX for each source file. A kernel is in one of them
}

// Codes returns the code that runs on a card of the given compute capability,
// best first: machine code, then PTX, which the driver compiles. A driver may
// be too old for the machine code and accept the PTX. The list is empty if this
// program was built without kernels or has none for such a card; For returns
// which.
func Codes(major, minor int) ([]Code, error) {
	all, err := embedded()
	if err != nil {
		return nil, err
	}
	return choose(all, major, minor), nil
}

// Targets returns the names of the embedded code.
func Targets() (names []string) {
	all, _ := embedded()
	for _, c := range all {
		names = append(names, c.Target)
	}
	return names
}

// For returns the name of the code that is loaded on a GPU of the given compute
// capability. If there is none, ok is false and code is the reason.
func For(major, minor int) (code string, ok bool) {
	all, err := embedded()
	if err != nil {
		return err.Error(), false
	}
	return describe(all, major, minor)
}

func describe(all []Code, major, minor int) (code string, ok bool) {
	if len(all) == 0 {
		return "none: this binary was built without compiled kernels", false
	}
	var targets []string
	for _, c := range all {
		targets = append(targets, c.Target)
	}
	fit := choose(all, major, minor)
	if len(fit) == 0 {
		return fmt.Sprintf("none of %v fits compute capability %d.%d", targets, major, minor), false
	}
	code = fit[0].Target
	if _, _, machine := parse(code); !machine {
		code += ", compiled by the driver when it is loaded"
	}
	return code, true
}

// choose returns the code that runs on a card, best first. Machine code runs on
// its own compute capability and on later minor versions of the same major
// version; if its target has a letter, only on its own. PTX runs on its own
// compute capability and all later ones.
func choose(all []Code, major, minor int) (fit []Code) {
	card := 10*major + minor
	rank := map[string]int{}
	for _, c := range all {
		version, letter, machine := parse(c.Target)
		switch {
		case machine && (version == card || letter == "" && version/10 == major && version < card):
			rank[c.Target] = 1000 + version
		case !machine && version <= card:
			rank[c.Target] = version
		default:
			continue
		}
		fit = append(fit, c)
	}
	slices.SortFunc(fit, func(a, b Code) int { return cmp.Compare(rank[b.Target], rank[a.Target]) })
	return fit
}

// parse divides a target such as sm_90a into its parts.
func parse(target string) (version int, letter string, machine bool) {
	kind, number, _ := strings.Cut(target, "_")
	_, _ = fmt.Sscanf(number, "%d%s", &version, &letter)
	return version, letter, kind == "sm"
}

// embedded returns all code, or none if there is no archive.
var embedded = sync.OnceValues(func() ([]Code, error) {
	archive, err := build.ReadFile("build/kernels.tar.gz")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return read(archive)
})

// read unpacks an archive of <target>/<source>.<extension>.
func read(archive []byte) (all []Code, err error) {
	broken := func(err error) error { return fmt.Errorf("kernels: unpack the embedded code: %w", err) }
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, broken(err)
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if err == io.EOF {
			// The checksum follows the last file.
			if _, err = io.Copy(io.Discard, z); err == nil {
				return all, nil
			}
		}
		if err != nil {
			return nil, broken(err)
		}
		image, err := io.ReadAll(files)
		if err != nil {
			return nil, broken(err)
		}
		target := path.Dir(h.Name)
		at := slices.IndexFunc(all, func(c Code) bool { return c.Target == target })
		if at < 0 {
			at = len(all)
			all = append(all, Code{Target: target})
		}
		all[at].Images = append(all[at].Images, image)
	}
}
