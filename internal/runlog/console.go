package runlog

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/terminal"
)

// console is the output to stderr. It consists of lines; a terminal also has a
// progress bar below them, and a table of the evaluations instead of lines
// about them.
type console struct {
	screen  *terminal.Screen
	heading string // heading of the table, as printed last
}

func (c *console) open(o Options) { c.screen = terminal.Open(o.Stderr, o.Terminal, o.Now) }

// line writes a line, above the bar if there is one.
func (c *console) line(text string) {
	style, indent := terminal.Plain, 2
	if strings.HasPrefix(text, "warning: ") {
		style = terminal.Warning
	}
	c.screen.Print(style, text, indent)
}

// Advance counts one optimizer step, for progress and speed only. tokens
// excludes padding. The training loop calls it after every step.
func (r *Run) Advance(step, examples, tokens int) {
	r.clock.advance(step, examples, tokens)
	r.step, r.doing = step, ""
	r.draw(false, r.training)
}

// Progress shows what the run does between two steps, such as "evaluating", and how many
// parts of it are done. Only a terminal shows it.
func (r *Run) Progress(what string, done, total int) {
	doing := fmt.Sprint(what, done == total)
	change := doing != r.doing
	r.doing = doing
	r.draw(change, func(width int) string { return r.between(width, what, done, total) })
}

// Train logs a training record. Errors are kept for Err and Sync.
func (r *Run) Train(t Train) {
	r.clock.lap()
	r.loss = fmt.Sprintf("loss %.4f", t.Loss)
	c := &r.clock
	tags := []field{{"train/loss", t.Loss}, {"train/learning_rate", t.LearningRate},
		{"train/grad_norm", t.GradNorm}, {"train/epoch", t.Epoch}}
	if !math.IsNaN(c.examplesRate) {
		tags = append(tags, field{"perf/examples_per_second", c.examplesRate}, field{"perf/tokens_per_second", c.tokensRate})
	}
	r.record(t, tags)
	r.put(r.timing, jsonLine([]field{{"step", t.Step}, {"time", stamp(r.o.Now())},
		{"seconds", r.o.Now().Sub(c.start).Seconds()},
		{"examples_per_second", c.examplesRate}, {"tokens_per_second", c.tokensRate}}))
	// At the end of epoch 1 the fraction is 1.0, which still belongs to epoch 1.
	epoch := max(1, int(math.Ceil(t.Epoch)))
	text := fmt.Sprintf("epoch %s step %s %s", of(epoch, r.o.Epochs), of(t.Step, r.o.Steps),
		r.numbers(fmt.Sprintf("loss %.4g lr %.1e norm %.3g", t.Loss, t.LearningRate, t.GradNorm)))
	r.logText(text)
	r.step = t.Step
	if !r.o.Terminal.Live {
		r.console.line(text)
		return
	}
	r.draw(true, r.training)
}

// Eval logs the outcome of an evaluation. It panics with a Misuse if the name of a score
// is not in Options.Scores.
func (r *Run) Eval(e Eval) {
	if err := e.known(r.o.Scores); err != nil {
		panic(Misuse{fmt.Sprintf("log eval at step %d: %v", e.Step, err)})
	}
	r.clock.pause()
	tags := []field{{e.prefix() + "/loss", e.Loss}}
	text := fmt.Sprintf("epoch %s step %s %s loss %.4g", of(epochText(e.Epoch), r.o.Epochs), of(e.Step, r.o.Steps),
		e.Split, e.Loss)
	for _, name := range r.o.Scores {
		if v, ok := e.Scores[name]; ok {
			tags = append(tags, field{e.prefix() + "/" + name, v})
			text += fmt.Sprintf(" %s %v", name, metric.Number(v))
		}
	}
	if e.Best {
		text += " (best)"
	}
	r.record(e, tags)
	if v, ok := e.Scores[r.o.Select]; ok && e.Split == "dev" {
		r.score = fmt.Sprintf("%s %v", r.o.Select, metric.Number(v))
	}
	if !r.o.Terminal.Live {
		r.say(text)
		return
	}
	r.logText(text)
	r.evalRow(e)
	r.doing = ""
	r.draw(true, r.training)
}

// Printf logs a line for people, to log.txt and the console. It needs no
// final newline.
func (r *Run) Printf(format string, args ...any) {
	r.say(strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}

// say writes a line above the progress bar.
func (r *Run) say(text string) {
	r.logText(text)
	r.console.line(text)
}

func (r *Run) logText(text string) {
	r.put(r.text, []byte(stamp(r.o.Now())+" "+text+"\n"))
}

// Note logs a line only to log.txt, for what the command prints on its output anyway.
func (r *Run) Note(format string, args ...any) { r.logText(fmt.Sprintf(format, args...)) }

// numbers appends speed and remaining time to text, as far as they are known.
func (r *Run) numbers(text string) string {
	c := &r.clock
	if !math.IsNaN(c.examplesRate) {
		text += fmt.Sprintf(" %.1f ex/s %.0f tok/s", c.examplesRate, c.tokensRate)
	}
	if eta, ok := c.eta(r.o.Steps); ok {
		text += " eta " + terminal.Duration(eta)
	}
	return text
}

// of returns "n/total", or n alone if the total is unknown.
func of(n any, total int) string {
	if total <= 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%v/%d", n, total)
}

// epochText returns a number of epochs with two decimals, or without decimals
// if it is whole.
func epochText(epoch float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(epoch, 'f', 2, 64), "0"), ".")
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
