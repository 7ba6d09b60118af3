package chat

import (
	"bytes"
	"fmt"

	"github.com/nikolalohinski/gonja/v2/builtins"
	controls "github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// structures returns the statements of templates. Those that read other
// templates, include, import, from and extends, are left out.
func structures() *exec.ControlStructureSet {
	set := map[string]parser.ControlStructureParser{
		"for": parseLoop, "macro": parseMacro, "call": parseCall, "set": parseSet, "generation": parseGeneration,
	}
	for _, name := range []string{"if", "raw", "with", "break", "continue"} {
		set[name], _ = builtins.ControlStructures.Get(name)
	}
	return exec.NewControlStructureSet(set)
}

// builtin parses a statement of gonja.
func builtin(name string, p, args *parser.Parser) (nodes.ControlStructure, error) {
	parse, _ := builtins.ControlStructures.Get(name)
	return parse(p, args)
}

// guard is the body of a loop or a macro, and counts as a step.
type guard struct{ body *nodes.Wrapper }

func guarded(body *nodes.Wrapper) *nodes.Wrapper {
	block := &nodes.ControlStructureBlock{Location: body.Location, Name: "body", ControlStructure: &guard{body}}
	return &nodes.Wrapper{Location: body.Location, Trim: &nodes.Trim{}, EndTag: body.EndTag, Nodes: []nodes.Node{block}}
}

// Position implements nodes.Node.
func (g *guard) Position() *tokens.Token { return g.body.Location }

func (g *guard) String() string { return "body" }

// Execute implements exec.ControlStructure.
func (g *guard) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	b := budgetOf(r.Environment)
	if err := b.enter(); err != nil {
		return err
	}
	defer b.leave()
	if err := r.ExecuteWrapper(g.body); err != nil {
		return err
	}
	return checkOutput(r)
}

// loop is a for whose start counts as a step too, since gonja visits all items
// before the first turn.
type loop struct{ *controls.ForControlStructure }

// Execute implements exec.ControlStructure.
func (l loop) Execute(r *exec.Renderer, block *nodes.ControlStructureBlock) error {
	if err := budgetOf(r.Environment).step(); err != nil {
		return err
	}
	return l.ForControlStructure.Execute(r, block)
}

func parseLoop(p, args *parser.Parser) (nodes.ControlStructure, error) {
	n, err := builtin("for", p, args)
	if err != nil {
		return nil, err
	}
	f := n.(*controls.ForControlStructure)
	f.BodyWrapper = guarded(f.BodyWrapper)
	return loop{f}, nil
}

func parseMacro(p, args *parser.Parser) (nodes.ControlStructure, error) {
	n, err := builtin("macro", p, args)
	if err != nil {
		return nil, err
	}
	m := n.(*controls.MacroControlStructure)
	m.Wrapper = guarded(m.Wrapper)
	return m, nil
}

func parseCall(p, args *parser.Parser) (nodes.ControlStructure, error) {
	n, err := builtin("call", p, args)
	if err != nil {
		return nil, err
	}
	c := n.(*controls.CallControlStructure)
	c.Body = guarded(c.Body)
	return c, nil
}

// assignment is a set whose value is bounded.
type assignment struct {
	location           *tokens.Token
	target             nodes.Expression // a name or an attribute
	value              nodes.Expression
	condition, another nodes.Expression // the value of {% set x = a if b else c %}
	body               *nodes.Wrapper   // of {% set x %}...{% endset %}
}

// Position implements nodes.Node.
func (a *assignment) Position() *tokens.Token { return a.location }

func (a *assignment) String() string { return "set" }

// Execute implements exec.ControlStructure.
func (a *assignment) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	if err := budgetOf(r.Environment).step(); err != nil {
		return err
	}
	value, err := a.eval(r)
	if err != nil {
		return err
	}
	if value.IsError() {
		return value
	}
	if err := checkSize(value.Interface()); err != nil {
		return err
	}
	if name, ok := a.target.(*nodes.Name); ok {
		r.Environment.Context.Set(name.Name.Val, value.Interface())
		return nil
	}
	attribute := a.target.(*nodes.GetAttribute)
	object := r.Eval(attribute.Node)
	if object.IsError() {
		return object
	}
	if err := object.Set(exec.AsValue(attribute.Attribute), value.Interface()); err != nil {
		return fmt.Errorf("set of %s: %w", attribute.Attribute, err)
	}
	return checkSize(object.Interface())
}

func (a *assignment) eval(r *exec.Renderer) (*exec.Value, error) {
	if a.body != nil {
		out := new(bytes.Buffer)
		sub := r.Inherit()
		sub.Output = out
		if err := sub.ExecuteWrapper(a.body); err != nil {
			return nil, err
		}
		return exec.AsSafeValue(out.String()), nil
	}
	if a.condition == nil {
		return r.Eval(a.value), nil
	}
	condition := r.Eval(a.condition)
	switch {
	case condition.IsError():
		return condition, nil
	case condition.IsTrue():
		return r.Eval(a.value), nil
	}
	return r.Eval(a.another), nil
}

func parseSet(p, args *parser.Parser) (nodes.ControlStructure, error) {
	a := &assignment{location: p.Current()}
	var err error
	if a.target, err = args.ParseVariableOrLiteral(); err != nil {
		return nil, err
	}
	switch a.target.(type) {
	case *nodes.Name, *nodes.GetAttribute:
	default:
		return nil, args.Error("want a name or an attribute of a namespace after set", args.Current())
	}
	if args.Match(tokens.Assign) == nil {
		if !args.End() {
			return nil, args.Error("want = after the name", args.Current())
		}
		a.body, _, err = p.WrapUntil("endset")
		return a, err
	}
	if a.value, err = args.ParseExpression(); err != nil {
		return nil, err
	}
	if a.condition, a.another, err = args.ParseCondition(); err != nil {
		return nil, err
	}
	if a.condition != nil && a.another == nil || !args.End() {
		return nil, args.Error("the value of set does not end where the statement does", args.Current())
	}
	return a, nil
}

// generation is {% generation %}, which marks what the assistant says.
type generation struct{ *guard }

// Execute implements exec.ControlStructure.
func (g generation) Execute(r *exec.Renderer, block *nodes.ControlStructureBlock) error {
	b, _ := r.Environment.Context.Get(marksKey)
	m := b.(marks)
	if _, err := r.Output.Write([]byte(m.begin)); err != nil {
		return err
	}
	if err := g.guard.Execute(r, block); err != nil {
		return err
	}
	_, err := r.Output.Write([]byte(m.end))
	return err
}

func parseGeneration(p, _ *parser.Parser) (nodes.ControlStructure, error) {
	body, _, err := p.WrapUntil("endgeneration")
	if err != nil {
		return nil, err
	}
	return generation{&guard{body}}, nil
}
