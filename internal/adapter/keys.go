package adapter

import (
	"reflect"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/setting"
)

// Key is a key of the method section besides name, as the methods that take it describe it.
type Key struct {
	setting.Field
	Default any
	Methods []string
}

// AllKeys lists the keys that methods take, those of the default method first and then those of the others by the names
// of the methods. A key stands in the list once for each meaning or default that it has.
func AllKeys() (keys []Key) {
	names := slices.DeleteFunc(Names(), func(name string) bool { return name == Default().name })
	for _, name := range append([]string{Default().name}, names...) {
		c := NewConfig(name)
		for _, f := range c.fields() {
			k := Key{f, c.Value(f.Name), []string{name}}
			at, same := position(keys, k)
			if same {
				keys[at].Methods = append(keys[at].Methods, name)
				slices.Sort(keys[at].Methods)
				continue
			}
			keys = slices.Insert(keys, at, k)
		}
	}
	return keys
}

// position returns where a key is in keys, or where it belongs: behind the last one of the same name, or at the end.
func position(keys []Key, k Key) (at int, same bool) {
	at = len(keys)
	for i, other := range keys {
		if other.Name != k.Name {
			continue
		}
		if other.sameMeaning(k) {
			return i, true
		}
		at = i + 1
	}
	return at, false
}

func (k Key) sameMeaning(other Key) bool {
	a, b := k.Field, other.Field
	a.Index, b.Index = nil, nil
	return reflect.DeepEqual(a, b) && reflect.DeepEqual(k.Default, other.Default)
}

// Keys lists the keys of the method section, besides name, that a method takes.
func Keys(name string) (keys []string) {
	for _, f := range NewConfig(name).fields() {
		keys = append(keys, f.Name)
	}
	return keys
}

// Taking lists the methods that take a key of the method section.
func Taking(key string) (names []string) {
	for _, name := range Names() {
		if slices.Contains(Keys(name), key) {
			names = append(names, name)
		}
	}
	return names
}

// Belongs says which methods a key of the method section that a method does not take belongs to.
func Belongs(name, key string) string {
	takes := "no other keys"
	if keys := Keys(name); keys != nil {
		takes = strings.Join(keys, ", ")
	}
	return "is a key of " + strings.Join(Taking(key), ", ") + "; method " + name + " takes " + takes
}

// Scheduled lists the methods that can change their structure on a schedule.
func Scheduled() (names []string) {
	for _, name := range Names() {
		if (Config{name: name}).Changes() {
			names = append(names, name)
		}
	}
	return names
}
