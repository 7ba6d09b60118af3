// Package kernels contains the compiled kernels that are embedded in the
// binary.
//
// A source file becomes one cubin for each target and one text of PTX. They are
// embedded separately and not as a fat binary, so that this program chooses
// which code to load, and can use other code if the driver refuses it. Each
// target has its own archive, so that only the code of one card is unpacked.
package kernels

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

//go:embed build
var build embed.FS

// suffix ends the name of an archive, which begins with its target.
const suffix = ".tar.gz"

// Targets returns the names of the embedded code, such as sm_90a for machine
// code and compute_80 for PTX: first machine code, then PTX, by version. There
// are none if this program was built without kernels.
func Targets() (names []string) {
	// The directory is embedded, so reading it does not fail.
	entries, _ := build.ReadDir("build")
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok {
			names = append(names, name)
		}
	}
	rank := func(name string) int {
		version, _, machine := parse(name)
		if machine {
			return version
		}
		return 1000 + version
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return names
}

// For returns the targets whose code runs on a card of the given compute
// capability, best first: machine code, then PTX, which the driver compiles. A
// driver may be too old for the machine code and accept the PTX. The list is
// empty if this program was built without kernels or has none for such a card;
// Describe returns which.
func For(major, minor int) []string { return choose(Targets(), major, minor) }

// Describe returns the name of the code that is loaded on a card of the given
// compute capability. If there is none, ok is false and code is the reason.
func Describe(major, minor int) (code string, ok bool) { return describe(Targets(), major, minor) }

func describe(targets []string, major, minor int) (code string, ok bool) {
	if len(targets) == 0 {
		return "none: this binary was built without compiled kernels", false
	}
	fit := choose(targets, major, minor)
	if len(fit) == 0 {
		return fmt.Sprintf("none of %v fits compute capability %d.%d", targets, major, minor), false
	}
	code = fit[0]
	if _, _, machine := parse(code); !machine {
		code += ", compiled by the driver when it is loaded"
	}
	return code, true
}

// choose returns the code that runs on a card, best first. Machine code runs on
// its own compute capability and on later minor versions of the same major
// version; if its target has a letter, only on its own. PTX runs on its own
// compute capability and all later ones.
func choose(targets []string, major, minor int) (fit []string) {
	card := 10*major + minor
	rank := map[string]int{}
	for _, target := range targets {
		version, letter, machine := parse(target)
		switch {
		case machine && (version == card || letter == "" && version/10 == major && version < card):
			rank[target] = 1000 + version
		case !machine && version <= card:
			rank[target] = version
		default:
			continue
		}
		fit = append(fit, target)
	}
	slices.SortFunc(fit, func(a, b string) int { return cmp.Compare(rank[b], rank[a]) })
	return fit
}

// parse divides a target such as sm_90a into its parts.
func parse(target string) (version int, letter string, machine bool) {
	kind, number, _ := strings.Cut(target, "_")
	_, _ = fmt.Sscanf(number, "%d%s", &version, &letter)
	return version, letter, kind == "sm"
}

// Images unpacks the code of a target: one cubin or text of PTX for each source
// file. A kernel is in one of them.
func Images(target string) ([][]byte, error) {
	archive, err := build.ReadFile("build/" + target + suffix)
	if err != nil {
		return nil, fmt.Errorf("kernels: unpack the embedded code: %w", err)
	}
	return read(target, archive)
}

// Digest returns the SHA-256 of the packed code of a target, as hexadecimal
// digits. It is the same for equal code.
func Digest(target string) (string, error) {
	archive, err := build.ReadFile("build/" + target + suffix)
	if err != nil {
		return "", fmt.Errorf("kernels: read the embedded code: %w", err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(archive)), nil
}

// read unpacks an archive of <target>/<source>.<extension>.
func read(target string, archive []byte) (images [][]byte, err error) {
	broken := func(err error) error { return fmt.Errorf("kernels: unpack the embedded code for %s: %w", target, err) }
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, broken(err)
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if err == io.EOF {
			// The checksum follows the last file.
			if _, err = io.Copy(io.Discard, z); err == nil {
				return images, nil
			}
		}
		if err != nil {
			return nil, broken(err)
		}
		if dir := path.Dir(h.Name); dir != target {
			return nil, broken(fmt.Errorf("it has a file of target %s", dir))
		}
		image, err := io.ReadAll(files)
		if err != nil {
			return nil, broken(err)
		}
		images = append(images, image)
	}
}
