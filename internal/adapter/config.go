package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/setting"
)

// Config is the `method:` section of a run file: the name of a method and the settings that this method has. A copy of
// a Config is independent of the original.
type Config struct {
	name string
	own  section // nil where the method has no settings or is not known; never written to, but replaced by Set and Resolve
}

// section is a pointer to the settings of one method: a struct whose tags package setting describes. A section may have
// a method Resolve(), which fills in the settings that others decide, a method Variant() string, which names the form
// of the method that its settings choose, as a prefix of the method's name, and a method Lead() int; see Config.Lead.
type section interface {
	// Validate returns the faults that the tags do not show, most of them of several settings together. Each begins with
	// "method." and a key. The faults of embedded sections are found without it.
	Validate() []error
}

// NewConfig returns the default settings of a method.
func NewConfig(name string) Config {
	c := Config{name: name}
	if of := methods[name].section; of != nil {
		c.own = of()
	}
	return c
}

// Name returns the name of the method.
func (c Config) Name() string { return c.name }

// Default returns the settings of a run file without the section: those of the paper's RoBERTa-base rows.
func Default() Config { return NewConfig("lor2c") }

// Values are settings of methods by their keys.
type Values map[string]any

// Configure returns the settings of a method with the given values and the defaults of the other keys. It leaves out
// and panics like With.
func Configure(name string, values Values) Config { return NewConfig(name).With(values) }

// With returns c with the given values. It leaves out values of keys that only other methods have. It panics if a key
// is one of no method or a value has another type than the key.
func (c Config) With(values Values) Config {
	for key, value := range values {
		if c.Takes(key) {
			if err := c.Set(key, value); err != nil {
				panic(err)
			}
		} else if Taking(key) == nil {
			panic(fmt.Errorf("adapter: configure %s: no method has the key %s", c.name, key))
		}
	}
	return c
}

// Value returns the value of a key of the method section besides name, and nil if the method does not take the key.
func (c Config) Value(key string) any {
	f, ok := c.field(key)
	if !ok {
		return nil
	}
	return reflect.ValueOf(c.own).Elem().FieldByIndex(f.Index).Interface()
}

// Set changes the value of a key that the method takes; nil stands for a list without elements. It returns an error for
// another key and for a value of another type than the key has.
func (c *Config) Set(key string, value any) error {
	f, ok := c.field(key)
	if !ok {
		return fmt.Errorf("adapter: configure %s: there is no key %s; want one of %s", c.name, key,
			strings.Join(Keys(c.name), ", "))
	}
	if value == nil {
		value = reflect.Zero(f.Type).Interface()
	}
	if n, ok := value.(int); ok && f.Type.Kind() == reflect.Float64 {
		value = float64(n)
	}
	if t := reflect.TypeOf(value); t != f.Type {
		return fmt.Errorf("adapter: configure %s: %s is %v; want %v", c.name, key, t, f.Type)
	}
	own := c.replace()
	own.Elem().FieldByIndex(f.Index).Set(reflect.ValueOf(value))
	return nil
}

// replace gives c a copy of its section, so that other copies of c keep theirs, and returns it.
func (c *Config) replace() reflect.Value {
	own := reflect.New(reflect.TypeOf(c.own).Elem())
	own.Elem().Set(reflect.ValueOf(c.own).Elem())
	c.own = own.Interface().(section)
	return own
}

// fields lists the settings of the method.
func (c Config) fields() []setting.Field {
	if c.own == nil {
		return nil
	}
	return setting.Fields(reflect.TypeOf(c.own).Elem())
}

func (c Config) field(key string) (f setting.Field, ok bool) {
	fields := c.fields()
	i := slices.IndexFunc(fields, func(f setting.Field) bool { return f.Name == key })
	if i < 0 {
		return f, false
	}
	return fields[i], true
}

// Equal reports whether both are the same method with the same settings.
func (c Config) Equal(other Config) bool {
	return c.name == other.name && reflect.DeepEqual(c.own, other.own)
}

// String returns the name and the settings as JSON, for the messages of tests.
func (c Config) String() string { return string(encoded(c)) }

// MarshalJSON writes the name and the settings of the method, in the order of its section.
func (c Config) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(c.name)
	text = append([]byte(`{"name":`), text...)
	for _, f := range c.fields() {
		value, failed := json.Marshal(c.Value(f.Name))
		text = append(fmt.Appendf(text, ",%q:", f.Name), value...)
		err = errors.Join(err, failed)
	}
	return append(text, '}'), err
}

// UnmarshalJSON reads what MarshalJSON wrote. It leaves out the settings that older releases wrote for every method.
func (c *Config) UnmarshalJSON(text []byte) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("method is %s; want an object", place.Quote(string(text)))
	}
	var name string
	if text := values["name"]; text != nil {
		if err := decode("name", text, &name); err != nil {
			return err
		}
	}
	*c = NewConfig(name)
	delete(values, "name")
	if _, known := methods[name]; !known {
		return nil // Validate refuses the name
	}
	for _, f := range c.fields() {
		if value := values[f.Name]; value != nil && string(value) != "null" {
			into := reflect.New(f.Type)
			if err := decode(f.Name, value, into.Interface()); err != nil {
				return err
			}
			if err := c.Set(f.Name, into.Elem().Interface()); err != nil {
				return err
			}
		}
		delete(values, f.Name)
	}
	for key := range values {
		if !slices.Contains(OlderKeys, key) {
			return fmt.Errorf("method has the key %s, which is not one of method %s", place.Quote(key), name)
		}
	}
	return nil
}

// decode reads the value of a key from JSON.
func decode(key string, text json.RawMessage, into any) error {
	err := json.Unmarshal(text, into)
	if err != nil {
		if _, what, ok := place.JSON(text, err); ok {
			return fmt.Errorf("method.%s: %s", key, strings.TrimPrefix(what, "the text "))
		}
	}
	return err
}

// OlderKeys are the keys of the method section, besides name, that releases before the settings of each method stood
// apart wrote for every method. Those that a method does not take had no effect.
var OlderKeys = []string{
	"rank", "alpha", "dropout", "share", "target_modules", "inject_rank", "inject_alpha", "inject_dropout",
}

// Trains returns a function that reports whether the method trains a parameter
// of the base model, or nil if it trains none.
func (c Config) Trains() func(name string) bool { return methods[c.name].trains }

// ChangesWeights reports whether the method trains or replaces the weights of linear layers of the base model, so that
// these cannot be quantised.
func (c Config) ChangesWeights() bool {
	s := methods[c.name]
	return s.except&rewritesBase != 0 || s.trains != nil && s.trains("weight")
}

// wholeModel reports whether the method is saved as a whole model, whose
// parameters have the names of the base model.
func (c Config) wholeModel() bool { return methods[c.name].peftType == "" }

// Takes reports whether the method uses a key of the method section.
func (c Config) Takes(key string) bool { return slices.Contains(Keys(c.name), key) }

// Rank returns the rank of the low-rank paths; 0 for a method without such paths.
func (c Config) Rank() int {
	rank, _ := c.Value("rank").(int)
	return rank
}

// Lead returns the number of rows that the method puts in front of the keys of each sequence. They take as many of the
// positions of a decoder.
func (c Config) Lead() int {
	if own, ok := c.own.(interface{ Lead() int }); ok {
		return own.Lead()
	}
	return 0
}

// NeedsSequences returns why the method does not fit a head for tokens, with the setting that would, or "" if it fits.
func (c Config) NeedsSequences() string {
	if own, ok := c.own.(interface{ needsSequences() string }); ok {
		return own.needsSequences()
	}
	return ""
}

// Changes reports whether the method can change its structure on a schedule.
func (c Config) Changes() bool { return methods[c.name].checkProgress != nil }

// Variant names the form of the method that its settings choose, as a prefix of the method's name.
func (c Config) Variant() string {
	if v, ok := c.own.(interface{ Variant() string }); ok {
		return v.Variant()
	}
	return ""
}

// CheckProgress returns an error for every value in progress, the result of a
// method's Progress after a step, that the limits of the schedule do not allow.
func (c Config) CheckProgress(progress json.RawMessage, limits schedule.Config, step int) []string {
	if progress == nil || !c.Changes() {
		return nil
	}
	return methods[c.name].checkProgress(progress, limits, step)
}

// LearningRate returns the default learning rate of the method.
func (c Config) LearningRate() float64 { return methods[c.name].learningRate }

// Resolve fills in the settings that others decide where they are not set.
func (c *Config) Resolve() {
	if _, ok := c.own.(interface{ Resolve() }); ok {
		c.replace().Interface().(interface{ Resolve() }).Resolve()
	}
}

// Validate returns every fault of c that can be seen without a model, each beginning with its key.
func (c Config) Validate() (faults []error) {
	if _, ok := methods[c.name]; !ok {
		return []error{fmt.Errorf("method.name: is %q; want one of %s", c.name, strings.Join(Names(), ", "))}
	}
	if c.own == nil {
		return nil
	}
	// A fault is found twice where the section has the Validate of a section that it embeds.
	said := map[string]bool{}
	for _, fault := range slices.Concat(setting.Faults("method", c.own), validate(reflect.ValueOf(c.own))) {
		if !said[fault.Error()] {
			said[fault.Error()] = true
			faults = append(faults, fault)
		}
	}
	return faults
}

// validate returns what the Validate methods of a section and of the sections embedded in it find.
func validate(own reflect.Value) (faults []error) {
	for i := range own.Elem().NumField() {
		if own.Elem().Type().Field(i).Anonymous {
			faults = append(faults, validate(own.Elem().Field(i).Addr())...)
		}
	}
	if s, ok := own.Interface().(section); ok {
		faults = append(faults, s.Validate()...)
	}
	return faults
}
