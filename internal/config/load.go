package config

import (
	"context"
	"reflect"
	"strings"

	"github.com/spf13/viper"

	"github.com/lor2c/lor2c/internal/adapter"
)

// Load reads the settings of a run. file is the run file, or "" if there is
// none. sets are the values of --set, each key=value. environ is os.Environ().
//
// A variable LOR2C_<SECTION>_<KEY> that is empty counts as unset, and one that
// names no key is a fault. In the environment and in --set a string is used
// unchanged, and a list can be written as query,value; any other value is YAML.
//
// The result is valid and resolved. Every error is an *Error. It has the faults
// that were found while reading or, if there are none, the faults of the
// values.
func Load(file string, sets, environ []string) (*Config, error) {
	return LoadContext(context.Background(), file, sets, environ)
}

// LoadContext is [Load] for a file that may be a pipe: it waits for the pipe's
// writer until ctx is done.
func LoadContext(ctx context.Context, file string, sets, environ []string) (*Config, error) {
	if file == "" {
		return load(file, nil, sets, environ)
	}
	text, refused := readFile(ctx, file)
	if refused != nil {
		return nil, &Error{[]error{refused}}
	}
	return load(file, text, sets, environ)
}

// load is Load for the content of a file, for tests.
func load(file string, text []byte, sets, environ []string) (*Config, error) {
	var fromFile []given
	var faults []*Fault
	if file != "" {
		fromFile, faults = runFile.parseFile(file, text)
	}
	fromEnv, more := runFile.parseEnv(environ)
	faults = append(faults, more...)
	fromSets, more := runFile.parseSets(sets)
	faults = append(faults, more...)
	for _, settings := range [][]given{fromFile, fromEnv, fromSets} {
		faults = append(faults, pathFaults(settings)...)
	}
	// If reading found faults, the values are not those that the user meant, and
	// validating them would report a mistake twice.
	if err := asError(faults); err != nil {
		return nil, err
	}
	nullZeros(fromFile)
	startHere(file, fromFile)
	c, origins, faults := layer(withoutWarmup(fromFile, fromEnv, fromSets)...)
	faults = append(faults, locateFaults(file, c.Validate(), origins)...)
	if err := asError(inOrder(faults)); err != nil {
		return nil, err
	}
	c.Resolve()
	c.Paths = PathsCWD
	return c, nil
}

// asError returns nil instead of a nil *Error in an error.
func asError(faults []*Fault) error {
	if len(faults) == 0 {
		return nil
	}
	e := &Error{}
	for _, f := range faults {
		e.Faults = append(e.Faults, f)
	}
	return e
}

// parseSets returns the settings of --set in the given order; the last one of a
// key counts.
func (s *schema) parseSets(sets []string) (settings []given, faults []*Fault) {
	for _, set := range sets {
		from := origin{where: "--set " + cut(set), set: set}
		refuse := func(what string) { faults = append(faults, &Fault{origin: from, text: what}) }
		name, text, ok := strings.Cut(set, "=")
		l, known := s.byName[name]
		switch {
		case !ok:
			refuse("has no =; want key=value, for example optim.lr=1e-4")
		case s.sections[name] != nil && name != "":
			refuse("is a section; want one key of it: " + prefixed(name, s.sections[name]))
		case !known:
			faults = append(faults, &Fault{from, s.unknown(name, false, true), ErrUnknownKey})
		default:
			v, wrong := l.parseText(text, from)
			if wrong != nil {
				faults = append(faults, wrong)
				continue
			}
			settings = append(settings, v)
		}
	}
	return settings, faults
}

// prefixed returns the keys of a section in the form that --set needs.
func prefixed(section string, names []string) string {
	full := make([]string, len(names))
	for i, n := range names {
		full[i] = join(section, n)
	}
	return strings.Join(full, ", ")
}

// layer puts the sources over each other, and says where each value that is not a default came from. The faults are
// those of keys that the method does not take, and of zeros for keys without a number as their default. Every value has
// its field's own type by now: viper's conversions never act, nor does its reading of the process's environment.
func layer(sources ...[]given) (*Config, map[string]origin, []*Fault) {
	c := Default()
	method, own, faults := ownKeys(sources...)
	c.Method = adapter.NewConfig(method)
	v := viper.New()
	for _, l := range runFile.leaves {
		if value, ok := l.get(&c); ok {
			v.SetDefault(l.name, value.Interface())
		}
	}
	origins := map[string]origin{}
	for _, settings := range own[:2] {
		tree := map[string]any{}
		for _, s := range settings {
			nest(tree, strings.Split(s.name, "."), s.value.Interface())
			origins[s.name] = s.from
		}
		if err := v.MergeConfigMap(tree); err != nil {
			panic(Bug{"layer", err.Error()})
		}
	}
	// In viper an override takes precedence over everything merged, in any order.
	for _, s := range own[2] {
		v.Set(s.name, s.value.Interface())
		origins[s.name] = s.from
	}
	for _, l := range runFile.leaves {
		if _, ok := l.get(&c); ok {
			l.set(&c, reflect.ValueOf(v.Get(l.name)))
		}
	}
	return &c, origins, faults
}

// nest stores value at path in tree, which has the form that viper merges.
func nest(tree map[string]any, path []string, value any) {
	for _, p := range path[:len(path)-1] {
		if tree[p] == nil {
			tree[p] = map[string]any{}
		}
		tree = tree[p].(map[string]any)
	}
	tree[path[len(path)-1]] = value
}
