package config

import (
	"cmp"
	"slices"
	"strings"
)

// envPrefix is the start of the names of all environment variables of lor2c.
const envPrefix = "LOR2C_"

// others are the variables with this prefix that do not set a key of a run
// file, with what reads them. Names that end in _ are prefixes. A test compares
// the list with the sources.
var others = map[string]string{
	"LOR2C_CPU":              "CPU: the newest instruction set to use, avx2, avx512 (default) or amx",
	"LOR2C_SYNC":             "CUDA device: wait after every op, for debugging",
	"LOR2C_GRAPHS":           "CUDA device: 0 replays no captured steps",
	"LOR2C_SELF_CHECK":       "CUDA device: 0 omits the check of kernels at the first start, 1 repeats it",
	"LOR2C_LIBCUDA":          "CUDA device: the driver's library, instead of libcuda.so.1",
	"LOR2C_LIBMPI":           "ranks: the MPI library, instead of the one that is found",
	"LOR2C_TOKEN":            "serve: the token that requests must carry",
	"LOR2C_REQUIRE_GPU":      "tests: 1 fails where a card is missing",
	"LOR2C_SHARED":           "tests: folder of real data",
	"LOR2C_MPNET":            "tests: folder of all-mpnet-base-v2",
	"LOR2C_DECODER":          "tests: folder of a decoder to measure",
	"LOR2C_METHOD_STEPS":     "tests: file for the times of a step of every method",
	"LOR2C_UPDATE":           "tests: 1 writes recorded results again",
	"LOR2C_KILLS":            "tests: how often a run is killed",
	"LOR2C_TEST_":            "tests: a test binary in another part",
	"LOR2C_CHECKPOINT_CHILD": "tests: a test binary in another part",
	"LOR2C_HOST_":            "tests: the kernels on the CPU",
}

// foreign reports whether the variable called name has another reader.
func foreign(name string) bool {
	if others[name] != "" {
		return true
	}
	for prefix := range others {
		if strings.HasSuffix(prefix, "_") && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// parseEnv returns the settings of the environment in the order of the schema,
// because an environment has no order, and a fault for each variable that has
// the prefix but no reader.
func (s *schema) parseEnv(environ []string) (settings []given, faults []*Fault) {
	set := map[string]string{}
	for _, e := range environ {
		if name, value, _ := strings.Cut(e, "="); value != "" {
			set[name] = value
		}
	}
	for _, l := range s.leaves {
		text := set[l.env()]
		delete(set, l.env())
		if text == "" {
			continue
		}
		v, wrong := l.parseText(text, origin{where: l.env()})
		if wrong != nil {
			faults = append(faults, wrong)
			continue
		}
		settings = append(settings, v)
	}
	var unread []*Fault
	for name := range set {
		if strings.HasPrefix(strings.ToUpper(name), envPrefix) && !foreign(name) {
			unread = append(unread, &Fault{origin{where: printable(name)}, s.unknownEnv(name), ErrUnknownKey})
		}
	}
	slices.SortFunc(unread, func(a, b *Fault) int { return cmp.Compare(a.where, b.where) })
	return settings, append(faults, unread...)
}

// unknownEnv returns the text of the fault for a variable that sets nothing. It
// suggests the one that was probably meant.
func (s *schema) unknownEnv(name string) string {
	words := strings.ToLower(name[len(envPrefix):])
	// Names of sections contain no _, so the first _ stands for the dot.
	for _, key := range []string{strings.Replace(words, "_", ".", 1), words} {
		if near := s.meant(key, s.names()); near != "" {
			return "no key has this variable; did you mean " + s.byName[near].env() + "?"
		}
	}
	return "no key has this variable; lor2c help config lists the keys, and LOR2C_SECTION_KEY sets one"
}
