// Package kernels holds the compiled kernels that are part of the binary.
package kernels

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed build
var build embed.FS

// Image returns the fat binary, nil where this program was built without.
func Image() []byte {
	raw, err := build.ReadFile("build/kernels.fatbin")
	if err != nil {
		return nil
	}
	return raw
}

// Targets names the code objects in the image: machine code as sm_90a, and PTX,
// which a driver compiles for newer cards, as compute_80.
func Targets() []string {
	raw, err := build.ReadFile("build/targets")
	if err != nil {
		return nil
	}
	return strings.Fields(string(raw))
}

// For returns the code object that a driver takes for a card of that compute
// capability, and why there is none where ok is false.
func For(major, minor int) (code string, ok bool) { return choose(Targets(), major, minor) }

// choose takes machine code of the same major version with the largest minor
// version that is not above the card's, else PTX that is not above it. Code for
// an architecture with a letter runs on that alone.
func choose(targets []string, major, minor int) (code string, ok bool) {
	if len(targets) == 0 {
		return "none: this binary was built without compiled kernels", false
	}
	best := -1
	for _, t := range targets {
		version, letter, machine := parse(t)
		switch {
		case machine && letter != "" && version == 10*major+minor:
			return t, true
		case machine && letter == "" && version/10 == major && version%10 <= minor && version > best:
			code, best = t, version
		}
	}
	for _, t := range targets {
		if version, _, machine := parse(t); best < 0 && !machine && version <= 10*major+minor {
			return t + ", compiled by the driver when it is loaded", true
		}
	}
	if best < 0 {
		return fmt.Sprintf("none of %v fits compute capability %d.%d", targets, major, minor), false
	}
	return code, true
}

// parse takes sm_90a apart.
func parse(target string) (version int, letter string, machine bool) {
	kind, number, _ := strings.Cut(target, "_")
	_, _ = fmt.Sscanf(number, "%d%s", &version, &letter)
	return version, letter, kind == "sm"
}
