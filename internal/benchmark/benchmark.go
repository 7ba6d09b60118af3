// Package benchmark makes the prompts of MMLU, BBH, DROP and HumanEval as two
// evaluation harnesses make them, and scores what a model answers.
//
// The protocols are those of instruct-eval (declare-lab, commit 49bbd2c), with
// which the LoR2C paper was evaluated, and of lm-evaluation-harness
// (EleutherAI, commit 4e7e0d47f). The package runs no model: an [Item] says
// which texts the caller scores or generates.
package benchmark

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/nearest"
	"github.com/lor2c/lor2c/internal/place"
)

// Protocol is a way of asking and scoring.
type Protocol string

// These are the protocols.
const (
	InstructEval Protocol = "instruct-eval"
	LMEval       Protocol = "lm-eval"
)

// Protocols lists the protocols, the default first.
var Protocols = []Protocol{InstructEval, LMEval}

// version is the commit of a harness whose rules a protocol follows.
func (p Protocol) version() string {
	if p == LMEval {
		return string(p) + "/4e7e0d47f"
	}
	return string(p) + "/49bbd2c"
}

// These are the benchmarks.
const (
	NameMMLU      = "mmlu"
	NameBBH       = "bbh"
	NameDROP      = "drop"
	NameHumanEval = "humaneval"
)

// Names lists the benchmarks in the order of the columns of the LoR2C paper's Table II.
var Names = []string{NameMMLU, NameBBH, NameDROP, NameHumanEval}

// Options is how a benchmark is asked.
type Options struct {
	Protocol Protocol
	// Shots is the number of solved examples before a question; below 0 it is that of the protocol.
	Shots int
	// Own means that the files are not the released ones but have the same form.
	Own bool
}

// Set is the questions of a benchmark.
type Set struct {
	Name     string
	Protocol Protocol
	Shots    int
	Data     string // how the data differ from the released ones; "" if they do not
	Path     string // of the files
	Items    []Item
	Metrics  []string // of each answer, the one that stands for the benchmark first
}

// Title names benchmark, protocol and data as results must be named, such as mmlu@instruct-eval/49bbd2c.
func (s *Set) Title() string {
	title := s.Name + "@" + s.Protocol.version()
	if s.Data != "" {
		title += ",data=" + s.Data
	}
	return title
}

// Item is one question of a benchmark.
type Item struct {
	Task string // subject of MMLU, task of BBH, or task_id of HumanEval
	Row  int    // 0-based row of its file

	Head     string   // text before the examples
	Shots    []string // solved examples, in order
	Question string

	// Choices are the continuations whose log-likelihoods are compared. Without
	// them the model generates at most MaxTokens tokens, up to the first of Until.
	Choices   []string
	Until     []string
	MaxTokens int

	Label string     // the right choice, or the right answer
	Golds [][]string // DROP: the right answers, each of one or several spans
	Code  Code       // HumanEval: the texts that make a program of an answer
}

// Prompt returns the prompt with the first k examples.
func (it Item) Prompt(k int) string {
	return it.Head + strings.Join(it.Shots[:min(k, len(it.Shots))], "") + it.Question
}

// Fit returns the prompt with as many examples as fit into limit tokens, as
// instruct-eval does, and their number. The prompt without examples is returned
// whatever its length. count returns the number of tokens of a prompt.
func (it Item) Fit(count func(prompt string) int, limit int) (prompt string, k int) {
	for k = len(it.Shots); k > 0; k-- {
		if prompt = it.Prompt(k); count(prompt) <= limit {
			return prompt, k
		}
	}
	return it.Prompt(0), 0
}

// Load reads the files of a benchmark at path, which is their folder, a folder that has it under the benchmark's name,
// or for DROP and HumanEval the file. It returns an error, with file and row, if they are incomplete or not those that
// were released.
func Load(name, path string, o Options) (*Set, error) {
	if !slices.Contains(Protocols, o.Protocol) {
		return nil, place.Mistake(fmt.Errorf("benchmark: protocol %s: unknown; want %s", place.Quote(string(o.Protocol)),
			hinted(string(o.Protocol), Protocols)))
	}
	k, ok := kinds[name]
	if !ok {
		return nil, place.Mistake(fmt.Errorf("benchmark: %s: there is no such benchmark; want %s", place.Quote(name),
			hinted(name, Names)))
	}
	most := k.shots(o.Protocol)
	if o.Shots < 0 {
		o.Shots = most
	}
	if o.Shots > most {
		return nil, place.Mistake(fmt.Errorf("benchmark: %s: %s wanted; %s has at most %d", name,
			place.Count(o.Shots, "example is", "examples are"),
			o.Protocol, most))
	}
	path, err := k.locate(path)
	if err != nil {
		return nil, place.Mistake(err)
	}
	s := &Set{Name: name, Protocol: o.Protocol, Shots: o.Shots, Path: path, Metrics: k.metrics(o.Protocol)}
	if o.Own {
		s.Data = "own"
	}
	if err := k.load(s, o); err != nil {
		return nil, place.Mistake(err)
	}
	if len(s.Items) == 0 {
		return nil, place.Mistake(fmt.Errorf("benchmark: read %s: it has no questions%s", path, k.asks))
	}
	return s, nil
}

// kind has the properties in which benchmarks differ.
type kind struct {
	locate  func(path string) (string, error)
	load    func(s *Set, o Options) error
	shots   func(p Protocol) int // the default, which is also the most
	metrics func(p Protocol) []string
	asks    string // which rows are asked, for the error if there are none
}

var kinds = map[string]kind{
	NameMMLU: {locateMMLU, loadMMLU, always(5), always([]string{"acc"}), "; want rows in the files of test"},
	NameBBH: {locateBBH, loadBBH, always(3), either([]string{"acc"}, []string{"exact_match", "exact_match_stripped"}),
		"; want rows besides the examples"},
	NameDROP: {locateDROP, loadDROP, either(3, 0), either([]string{"acc"}, []string{"f1", "em"}),
		"; want rows with an answer (validated_answers in the original file) on other passages than the examples"},
	NameHumanEval: {locateHumanEval, loadHumanEval, always(0), always([]string{"pass@1"}), "; want one problem a line"},
}

func always[T any](v T) func(Protocol) T { return either(v, v) }

// either returns a function that chooses by the protocol.
func either[T any](instructEval, lmEval T) func(Protocol) T {
	return func(p Protocol) T {
		if p == LMEval {
			return lmEval
		}
		return instructEval
	}
}

// hinted lists names, and says which of them is nearest to a wrong one.
func hinted[S ~string](wrong string, names []S) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = string(n)
	}
	text := strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
	if name, near := nearest.Name(wrong, all); near {
		text += " (nearest " + name + ")"
	}
	return text
}
