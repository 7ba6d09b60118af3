package chat

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/sirupsen/logrus"
)

// These are the filters and methods of templates. Those that make a text of any
// length, such as center, and those that change a list or an object are left
// out.
var (
	filterNames = []string{
		"abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "groupby", "int", "join",
		"last",
		"length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "safe",
		"select",
		"selectattr", "sort", "string", "sum", "title", "trim", "unique", "upper", "wordcount",
	}
	listMethods = []string{"copy", "count", "index"}
	dictMethods = []string{"copy", "get"}
)

// jinja is the environment of all templates. It is made once.
var jinja = sync.OnceValue(func() *exec.Environment {
	// gonja logs the use of undefined values; templates use them on purpose.
	logrus.SetOutput(io.Discard)
	filters := map[string]exec.FilterFunction{"tojson": counted(toJSON), "items": counted(items)}
	for _, name := range filterNames {
		f, _ := builtins.Filters.Get(name)
		filters[name] = counted(f)
	}
	globals := map[string]any{"range": boundedRange}
	for _, name := range []string{"dict", "namespace"} {
		globals[name], _ = builtins.GlobalFunctions.Get(name)
	}
	return &exec.Environment{
		Context:           exec.EmptyContext().Update(builtins.GlobalVariables).Update(exec.NewContext(globals)),
		Filters:           exec.NewFilterSet(filters),
		Tests:             builtins.Tests,
		ControlStructures: structures(),
		Methods: exec.Methods{
			Bool: builtins.Methods.Bool, Int: builtins.Methods.Int, Float: builtins.Methods.Float,
			Str:  exec.NewMethodSet(textMethods),
			List: chosen(builtins.Methods.List, listMethods, nil),
			Dict: chosen(builtins.Methods.Dict, dictMethods, map[string]exec.Method[map[string]any]{
				"items": func(_ map[string]any, self *exec.Value, _ *exec.VarArgs) (any, error) {
					return pairsOf(self, true, true), nil
				},
				"keys": func(_ map[string]any, self *exec.Value, _ *exec.VarArgs) (any, error) {
					return pairsOf(self, true, false), nil
				},
				"values": func(_ map[string]any, self *exec.Value, _ *exec.VarArgs) (any, error) {
					return pairsOf(self, false, true), nil
				},
			}),
		},
	}
})

// settings are those with which transformers renders templates.
func settings() *config.Config {
	c := config.New()
	c.TrimBlocks, c.LeftStripBlocks = true, true
	return c
}

// chosen returns the methods with the given names, and more of them.
func chosen[T any](from *exec.MethodSet[T], names []string, more map[string]exec.Method[T]) *exec.MethodSet[T] {
	set := map[string]exec.Method[T]{}
	for _, name := range names {
		if m, ok := from.Get(name); ok {
			set[name] = m
		}
	}
	for name, m := range more {
		set[name] = m
	}
	return exec.NewMethodSet(set)
}

// counted returns a filter that counts as a step and whose result is bounded.
func counted(f exec.FilterFunction) exec.FilterFunction {
	return func(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
		if err := budgetOf(e.Environment).step(); err != nil {
			return exec.AsValue(err)
		}
		if err := checkGrowth(in, params); err != nil {
			return exec.AsValue(err)
		}
		out := f(e, in, params)
		if out.IsString() {
			if err := checkLength(len(out.String())); err != nil {
				return exec.AsValue(err)
			}
		}
		return out
	}
}

// checkGrowth returns an error if a text that is put between all items or
// characters of in, as replace and join do, would become too long.
func checkGrowth(in *exec.Value, params *exec.VarArgs) error {
	longest := 0
	for _, a := range params.Args {
		if a.IsString() {
			longest = max(longest, len(a.String()))
		}
	}
	if longest < 64 {
		return nil
	}
	return checkLength((in.Len() + 1) * longest)
}

// items is the filter items, which keeps the order of keys.
func items(_ *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	if !in.IsDict() {
		return exec.AsValue(fmt.Errorf("items: %s is not an object", strings.TrimSpace(in.String())))
	}
	return exec.AsValue(pairsOf(in, true, true))
}

// pairsOf returns the keys, the values or the pairs of an object, in order.
func pairsOf(object *exec.Value, keys, values bool) []any {
	list := []any{}
	object.Iterate(func(_, _ int, key, value *exec.Value) bool {
		switch {
		case keys && values:
			list = append(list, []any{key.Interface(), valueOf(value)})
		case keys:
			list = append(list, key.Interface())
		default:
			list = append(list, valueOf(value))
		}
		return true
	}, func() {})
	return list
}

func valueOf(v *exec.Value) any {
	if inner, ok := v.Interface().(*exec.Value); ok {
		return inner.Interface()
	}
	return v.Interface()
}
