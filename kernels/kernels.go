// Package kernels holds the compiled kernels that are part of the binary.
//
// A source file becomes one cubin for each target and one text of PTX. They are
// embedded apart, and not as a fat binary, so that it is ours to say which one a
// driver gets, and to try another where it refuses one.
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

// Code is every kernel for one target.
type Code struct {
	Target string   // sm_90a for machine code, compute_80 for PTX
	Images [][]byte // of the source files: cubins, or texts of PTX. A kernel is in one of them
}

// Codes returns what runs on a card of that compute capability, best first:
// machine code, then PTX, which the driver compiles. A driver may be too old for
// the first and not for the last. There are none where this program was built
// without kernels or has none for such a card; For says which.
func Codes(major, minor int) ([]Code, error) {
	all, err := embedded()
	if err != nil {
		return nil, err
	}
	return choose(all, major, minor), nil
}

// Targets names the code that is embedded.
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

// choose orders what runs on a card. Machine code runs on its own compute
// capability and later minor versions of the same major one, that of a target
// with a letter on its own alone; PTX runs on its own and all later.
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

// parse takes sm_90a apart.
func parse(target string) (version int, letter string, machine bool) {
	kind, number, _ := strings.Cut(target, "_")
	_, _ = fmt.Sscanf(number, "%d%s", &version, &letter)
	return version, letter, kind == "sm"
}

// embedded returns all code; none where there is no archive.
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
			// The checksum is behind the last file.
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
