package config

import (
	"reflect"
	"slices"
)

// A key with the tag unset has no number as its default: what a run uses follows from the data, the method or other
// keys. The field in Config is then 0. Nobody who writes a 0 means that, so the functions below tell a 0 that was
// written from a key that was not.

// meaning returns what l is for a method.
func (l leaf) meaning(method string) meaning {
	for _, m := range l.meanings {
		if !l.ofMethods() || slices.Contains(m.methods, method) {
			return m
		}
	}
	return meaning{}
}

// mayBeUnset reports whether l has no number as its default for some method.
func (l leaf) mayBeUnset() bool {
	return slices.ContainsFunc(l.meanings, func(m meaning) bool { return m.Unset != "" })
}

// isZero reports whether the source has the number 0 for a key without a number as its default.
func (s given) isZero() bool { return s.mayBeUnset() && s.value.IsValid() && s.value.IsZero() }

// zeroFault returns a fault if the source has a 0 for a key that the method leaves unset, unless 0 is in the range.
func (s given) zeroFault(method string) *Fault {
	m := s.meaning(method)
	if m.Unset == "" || !s.isZero() {
		return nil
	}
	_, what := m.Check(s.value)
	if what == "" {
		return nil
	}
	text := what + ", or null for the default: " + m.Unset
	if s.from.set == "" {
		text = s.name + ": " + text
	}
	return &Fault{origin: s.from, text: text}
}

// nullZeros makes a null of each 0 that a file has for a key that was not set, because a release wrote it into a run
// directory before null could be written. Such a file says paths: file and out: . as RunFile writes them, or has every
// key of methods, and it has no null for such a key.
func nullZeros(file []given) {
	if slices.ContainsFunc(file, func(s given) bool { return s.mayBeUnset() && !s.value.IsValid() }) {
		return
	}
	wrote := map[string]string{}
	for _, s := range file {
		if s.name == "paths" || s.name == "out" {
			wrote[s.name] = s.value.String()
		}
	}
	if (wrote["paths"] != PathsFile || wrote["out"] != ".") && !writtenByOlder(file) {
		return
	}
	for i, s := range file {
		if s.isZero() {
			file[i].value = reflect.Value{}
		}
	}
}

// withoutWarmup returns the sources, of which the first is the weakest, with optim.warmup_ratio 0 in the strongest that
// sets optim.warmup_steps, if it sets it to 0 and has no ratio itself: then a run has no warm-up, whatever ratio a
// weaker source or the default has.
func withoutWarmup(sources ...[]given) [][]given {
	const steps, ratio = "optim.warmup_steps", "optim.warmup_ratio"
	for i, source := range slices.Backward(sources) {
		var last *given
		beside := false
		for j, s := range source {
			switch s.name {
			case steps: // the last one counts
				last = &source[j]
			case ratio:
				beside = true
			}
		}
		if last == nil {
			continue
		}
		if last.isZero() && !beside {
			sources[i] = append(slices.Clone(source), given{runFile.byName[ratio], reflect.ValueOf(0.0), last.from})
		}
		break
	}
	return sources
}
