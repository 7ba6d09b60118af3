// Package evaluate asks a decoder the questions of a benchmark, or measures its perplexity on a text.
//
// Questions are asked in chunks whose bounds depend only on the questions. When a chunk is done, its answers are
// appended to JSONL files, and an interrupted evaluation continues after the last whole chunk. So the files have the
// same bytes whether or not the evaluation was interrupted. Files and results have the layout of lm-evaluation-harness
// (https://github.com/EleutherAI/lm-evaluation-harness).
package evaluate

import (
	"context"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/benchmark"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

// These are the ways of choosing tokens.
const (
	// ByProtocol is greedy, except for HumanEval in instruct-eval, which samples at a low temperature.
	ByProtocol = "protocol"
	// Greedy chooses the most probable token.
	Greedy = "greedy"
	// ByModel follows the model's generation_config.json, as instruct-eval does since 2023-09-27. If that file asks for
	// sampling, scores depend on the seed.
	ByModel = "generation-config"
)

// Decodes lists the ways of choosing tokens, the default first.
var Decodes = []string{ByProtocol, Greedy, ByModel}

// Model is what an evaluation needs to know of a model before it is loaded.
type Model struct {
	Tokenizer *tokenizer.Tokenizer
	MaxTokens int               // positions
	Sampling  generate.Sampling // of generation_config.json
	Identity  map[string]string // weights, adapter and tokenizer
}

// Settings is how a model is evaluated.
type Settings struct {
	Decode  string
	Samples int // answers to each problem of HumanEval
	Limit   int // the most questions of a task; 0 is all
	Seed    uint64
	Batch   int    // texts that are continued at a time
	Out     string // directory for answers and results
	// Execute runs a program and says how it ended; the program is right if that is Passed. HumanEval needs it.
	Execute func(ctx context.Context, program string) (outcome string, err error)
	// Watch, if not nil, is called with the number of answered questions and the total.
	Watch func(done, total int)
}

// Passed is the outcome of a program that ran to its end.
const Passed = "passed"

// question is one thing to compute: the likelihoods of continuations, or texts to generate.
type question struct {
	task    string // name of the task, which has a file of answers
	row     int
	tokens  int            // the most new tokens, 0 for likelihoods
	item    benchmark.Item // of a benchmark
	content string         // of a text
	ask     func() (asked, error)
	answer  func(asked, replies) line
}

// asked is a question as tokens.
type asked struct {
	prompt    string
	arguments []any // of each choice or sample, after the prompt
	query     generate.Query
	request   generate.Request
	until     []string
	shots     int // solved examples in the prompt
	cut       int // tokens that were cut off from the start, because the model has fewer positions
}

// replies is what the model makes of a question: likelihoods or texts.
type replies struct {
	likelihoods []float64
	texts       []string
	outcomes    []string // of programs
}

// Evaluation is an evaluation of one model on one benchmark or text. Its directory may have a part of the answers.
type Evaluation struct {
	Model
	Settings
	title     string
	benchmark *benchmark.Set // nil for a perplexity
	text      *text          // nil for a benchmark
	sampling  generate.Sampling
	samples   int // texts for each question
	questions []question
	original  map[string]int // questions of each task, without the limit
	files     *files
	device    string // that computed the answers; "" if it is not known
	scored    []line // in the order of the questions
}

// Benchmark opens the evaluation of a model on a benchmark. It returns an error if the directory has another
// evaluation, or if another process is at the same one. Call Close when the results are written.
func Benchmark(set *benchmark.Set, m Model, s Settings) (*Evaluation, error) {
	e := &Evaluation{Model: m, Settings: s, title: set.Title(), benchmark: set, samples: 1, original: map[string]int{}}
	if !slices.Contains(Decodes, s.Decode) {
		return nil, place.Mistake(fmt.Errorf("evaluate: decode is %s; want one of %s", place.Quote(s.Decode),
			place.List(Decodes)))
	}
	if s.Samples < 1 || s.Samples > 1 && set.Name != benchmark.NameHumanEval {
		return nil, place.Mistake(fmt.Errorf("evaluate: %d samples of each question are set; want 1 (only %s takes more)",
			s.Samples, benchmark.NameHumanEval))
	}
	if set.Name == benchmark.NameHumanEval && s.Execute == nil {
		return nil, place.Mistake(fmt.Errorf("evaluate: %s runs programs that the model writes; want --allow-code-execution",
			set.Name))
	}
	e.decide()
	if s.Samples > 1 && !e.sampling.DoSample {
		return nil, place.Mistake(fmt.Errorf("evaluate: %d samples of each problem are wanted, and they are all the same "+
			"with decode %s; want 1, or one that draws", s.Samples, s.Decode))
	}
	for _, it := range set.Items {
		task := taskName(set, it)
		if e.original[task]++; s.Limit == 0 || e.original[task] <= s.Limit {
			e.questions = append(e.questions, e.question(task, it))
		}
	}
	return e, e.open()
}

// taskName returns the name that lm-eval gives to the task of an item.
func taskName(set *benchmark.Set, it benchmark.Item) string {
	switch {
	case set.Name == benchmark.NameBBH && set.Protocol == benchmark.LMEval:
		return "bbh_fewshot_" + it.Task
	case set.Grouped():
		return set.Name + "_" + it.Task
	}
	return set.Name
}

// decide settles how tokens are chosen and adds that to the title.
func (e *Evaluation) decide() {
	set := e.benchmark
	e.sampling = generate.Greedy()
	if set.Name == benchmark.NameMMLU && set.Protocol == benchmark.LMEval {
		return // nothing is generated
	}
	draws := set.Name == benchmark.NameHumanEval && set.Protocol == benchmark.InstructEval
	switch {
	case e.Decode == ByModel:
		e.sampling = e.Model.Sampling
		e.title += ",decode=generation-config"
	case e.Decode == ByProtocol && (draws || e.Samples > 1):
		e.sampling.DoSample, e.sampling.TopP, e.sampling.Temperature = true, e.Model.Sampling.TopP, temperature(e.Samples)
		e.title += fmt.Sprintf(",decode=sample(temperature=%v,top_k=%d,top_p=%v)", e.sampling.Temperature, e.sampling.TopK,
			e.sampling.TopP)
	default:
		e.title += ",decode=greedy"
	}
	if set.Name == benchmark.NameHumanEval {
		e.samples = e.Samples
	}
}

// temperature returns the temperature that instruct-eval uses for a number of samples of each problem.
func temperature(samples int) float64 {
	switch {
	case samples == 1:
		return 0.1
	case samples <= 10:
		return 0.6
	}
	return 0.8
}

// Total returns the number of questions.
func (e *Evaluation) Total() int { return len(e.questions) }

// Done returns the number of questions that the directory had answers to when it was opened, or has since Run.
func (e *Evaluation) Done() int { return len(e.scored) }
