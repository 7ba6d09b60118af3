package chat

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// These bound one rendering, because a template is code that somebody else wrote.
const (
	maxSteps   = 100_000 // turns of loops, assignments, and calls of macros and filters
	maxNesting = 40      // loops and macros inside one another
	maxItems   = 100_000 // of a range, and of all lists and objects inside a variable
	maxText    = 8 << 20 // bytes of a variable and of the result
)

// maxTime bounds the time of one rendering. It is a variable because tests also
// run on slow machines.
var maxTime = 10 * time.Second

// budgetKey is the variable that holds the budget of a rendering. No template
// can name it.
const budgetKey = "\x00budget"

// budget is what a rendering has used.
type budget struct {
	steps, nesting int
	deadline       time.Time
	fault          error // why the rendering ends; gonja's errors repeat the statements around it
}

// fail notes why the rendering ends.
func (b *budget) fail(err error) error {
	if b.fault == nil {
		b.fault = err
	}
	return err
}

func budgetOf(env *exec.Environment) *budget {
	b, _ := env.Context.Get(budgetKey)
	return b.(*budget)
}

// step counts a step and returns an error if there were too many. The deadline
// ends renderings of few steps that are slow.
func (b *budget) step() error {
	if b.steps++; b.steps > maxSteps {
		return b.fail(fmt.Errorf("it takes more than %d steps", maxSteps))
	}
	if b.steps%64 == 0 && time.Now().After(b.deadline) {
		return b.fail(fmt.Errorf("it takes more than %v", maxTime))
	}
	return nil
}

// enter counts a loop or macro inside the current ones; leave ends it.
func (b *budget) enter() error {
	if b.nesting++; b.nesting > maxNesting {
		return b.fail(fmt.Errorf("it nests loops and macros more than %d deep", maxNesting))
	}
	return b.step()
}

func (b *budget) leave() { b.nesting-- }

func checkLength(n int) error {
	if n > maxText {
		return fmt.Errorf("it makes a text of more than %d bytes", maxText)
	}
	return nil
}

// checkOutput returns an error if a macro or a loop in one has written too much.
func checkOutput(r *exec.Renderer) error {
	switch out := r.Output.(type) {
	case *bytes.Buffer:
		return checkLength(out.Len())
	case *strings.Builder:
		return checkLength(out.Len())
	}
	return nil
}

// checkSize returns an error if a value, with all that it contains, is too
// large. A value that contains itself is too large.
func checkSize(v any) error {
	items, text := 0, 0
	var visit func(v reflect.Value) bool
	visit = func(v reflect.Value) bool {
		if items++; items > maxItems || text > maxText {
			return false
		}
		if inner, ok := interfaceOf(v).(*exec.Value); ok && inner != nil {
			v = inner.Val
		}
		switch v.Kind() {
		case reflect.String:
			text += v.Len()
		case reflect.Pointer, reflect.Interface:
			return v.IsNil() || visit(v.Elem())
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				if !visit(v.Index(i)) {
					return false
				}
			}
		case reflect.Map:
			for _, key := range v.MapKeys() {
				if !visit(v.MapIndex(key)) {
					return false
				}
			}
		case reflect.Struct:
			if d, ok := interfaceOf(v).(exec.Dict); ok {
				for _, p := range d.Pairs {
					if !visit(reflect.ValueOf(p.Value)) {
						return false
					}
				}
			}
		}
		return text <= maxText
	}
	if !visit(reflect.ValueOf(v)) {
		return fmt.Errorf("a variable has more than %d items or %d bytes", maxItems, maxText)
	}
	return nil
}

// interfaceOf returns the value of v, or nil if it has none that can be seen.
func interfaceOf(v reflect.Value) any {
	if !v.IsValid() || !v.CanInterface() {
		return nil
	}
	return v.Interface()
}

// limitedWriter keeps what is written up to maxText bytes.
type limitedWriter struct{ strings.Builder }

// Write implements io.Writer.
func (w *limitedWriter) Write(p []byte) (int, error) {
	if err := checkLength(w.Len() + len(p)); err != nil {
		return 0, err
	}
	return w.Builder.Write(p)
}

// WriteString implements io.StringWriter.
func (w *limitedWriter) WriteString(s string) (int, error) {
	if err := checkLength(w.Len() + len(s)); err != nil {
		return 0, err
	}
	return w.Builder.WriteString(s)
}

// boundedRange replaces the range of gonja, which is without bound and leaves a
// goroutine behind when a loop breaks.
func boundedRange(_ *exec.Evaluator, params *exec.VarArgs) ([]any, error) {
	bounds := [3]int{0, 0, 1}
	if n := len(params.Args); n < 1 || n > 3 {
		return nil, errors.New("range: want one to three whole numbers")
	}
	for i, a := range params.Args {
		if !a.IsInteger() {
			return nil, errors.New("range: want one to three whole numbers")
		}
		bounds[i] = a.Integer()
	}
	start, stop, step := bounds[0], bounds[1], bounds[2]
	if len(params.Args) == 1 {
		start, stop = 0, bounds[0]
	}
	if step == 0 {
		return nil, errors.New("range: the step is 0; want another number")
	}
	list := []any{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(list) >= maxItems {
			return nil, fmt.Errorf("range: more than %d numbers", maxItems)
		}
		list = append(list, i)
	}
	return list, nil
}
